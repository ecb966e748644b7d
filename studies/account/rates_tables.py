"""A study whose arms differ by their learning rates: its table, the scores along its runs, and what it says of the rates that trials chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scipy.stats import spearmanr
from studies.account.cells import MISSING, drift_cell, name_cell, reduction_cell, skill_cell, table
from studies.account.facts import StudyFacts
from studies.account.outcome_tables import retrieval_losses
from studies.account.tables import as_good_within_chance

from repdrift.core.records.claims import Interval
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.tuning_words import rate_text
from repdrift.core.words import counted, listed, markdown_text, reduction_in_words, reduction_range, task_title


def rates_table(facts: StudyFacts, task: str) -> str:
    """A study whose arms differ by their learning rates: score, drift at the end, and reductions against the reference."""
    rows = []
    for arm in facts.arms_on(task):
        models, score, skill = facts.models(task, arm), facts.score(task, arm), facts.equal_skill(task, arm)
        rate = rate_of(facts, task, arm)
        end = facts.reduction(task, arm)
        rows.append(
            [
                name_cell(facts.title(arm)),
                MISSING if rate is None else rate_text(rate),
                MISSING if score is None else score.text + _each_score(facts, task, arm),
                drift_cell(models.drift, models.spread),
                "reference"
                if arm == facts.study.reference_method
                else reduction_cell(end.reduction if end else None, None).replace(" (no interval)", ""),
                "reference" if arm == facts.study.reference_method else _at_equal_skill(skill),
                counted(len(models.seeds), "model"),
            ]
        )
    head = ["arm", "learning rate", "score", "mean drift at the end", "less drift, at the end", "less drift at equal skill", ""]  # fmt: skip
    return table(head, rows)


def _at_equal_skill(found: EqualSkill | None) -> str:
    if found is None:
        return MISSING
    if found.reduction is None:
        return "none: a run of the two is not surely better than the best constant answer"
    return f"{skill_cell(found)} at {', '.join(f'{each.score:.3f}' for each in found.scores)}"


def rate_of(facts: StudyFacts, task: str, arm: str) -> float | None:
    """The learning rate that an arm's models were trained at; None if the results do not tell it."""
    trained = next((t for t in facts.data.results.trained if (t.task, t.method) == (task, arm)), None)
    return None if trained is None else float(trained.hyperparameters["learning_rate"])


def same_arm_at_other_rates(study: StudyFacts, rates: StudyFacts | None, task: str) -> dict[str, float]:
    """The arms of a study of rates that are tuned as the main study's reference is, with their rates."""
    if rates is None or task not in rates.begun:
        return {}
    kind = _kind(study, task, study.study.reference_method)
    found = {arm: rate_of(rates, task, arm) for arm in rates.arms_on(task) if _kind(rates, task, arm) == kind}
    return {arm: rate for arm, rate in found.items() if rate is not None}


@dataclass(frozen=True)
class OtherRate:
    """The reference at the rate that was chosen, beside itself at a rate that is as good within chance, at one score of a study of rates.

    reduction: how much less the chosen rate drifts; below zero it drifts more.
    """

    chosen: float
    other: float
    reduction: float
    interval: Interval
    score: str
    models: int


def other_rate(study: StudyFacts, rates: StudyFacts | None, task: str) -> OtherRate | None:
    """Returns how far two rates of the reference lie apart that are equally good; None where no study of rates tells it."""
    choice = study.choice(task, study.study.reference_method)
    arms = same_arm_at_other_rates(study, rates, task)
    if rates is None or choice is None or not arms:
        return None
    near = [trial.learning_rate for trial in as_good_within_chance(choice)]
    chosen = next((arm for arm, rate in arms.items() if rate == choice.learning_rate), None)
    other = arms.get(rates.study.reference_method)
    found = None if chosen is None else rates.equal_skill(task, chosen)
    if found is None or found.reduction is None or found.interval is None or other is None or other not in near:
        return None
    score = ", ".join(f"{each.metric} {each.score:.3f}" for each in found.scores)
    return OtherRate(choice.learning_rate, other, found.reduction, found.interval, score, len(found.runs))


def rate_caution(study: StudyFacts, rates: StudyFacts | None, task: str) -> str:
    """Says how much of a reduction at equal skill the choice of the reference's rate alone could be; empty where no study of rates tells it."""
    found, choice = other_rate(study, rates, task), study.choice(task, study.study.reference_method)
    if found is None or choice is None:
        return ""
    reference = markdown_text(study.title(study.study.reference_method))
    ends = reduction_range(found.interval.low, found.interval.high)
    return (
        f"The tests exchange seeds at one rate an arm. They say nothing about the choice of that rate, which rests on one trial over {choice.best.n_held_out} held-out rows. "
        f"For {reference} on {task_title(task)} the rate {rate_text(found.other)} is as good within chance as {rate_text(found.chosen)}, which was chosen; at {found.score} the chosen rate "
        f"drifts {reduction_in_words(found.reduction)} (interval {ends}, over {counted(found.models, 'model')} of the study of rates, below). A reduction of that size is a finding about the rates that trials chose, and "
        "not about the arms."
    )


def order_in_words(rates: StudyFacts, task: str) -> str:
    """Says for which kinds of tuning drift and the fall of retrieval both rise with the rate; empty without such numbers."""
    losses = retrieval_losses(rates, task)
    rising: list[str] = []
    others: list[str] = []
    for words, arms in kinds_of(rates).items():
        drifts = [rates.models(task, arm).drift for arm in arms]
        falls = [losses.get(arm) for arm in arms]
        if len(arms) < 2 or None in drifts or None in falls:
            return ""
        both = [_rises([value for value in values if value is not None]) for values in (drifts, falls)]
        (rising if all(both) else others).append(markdown_text(words))
    parts = [f"with the rate both rise for {listed(rising)}"] if rising else []
    parts += [f"not so throughout for {listed(others)}"] if others else []
    return ", and ".join(parts)


def kinds_of(rates: StudyFacts) -> dict[str, list[str]]:
    """The arms of a study of rates by what is tuned in them, in the order of the study, which is that of their rates."""
    kinds: dict[str, list[str]] = {}
    for arm in rates.study.methods:
        kinds.setdefault(rates.study.method_words.get(arm, arm), []).append(arm)
    return kinds


def order_of_means(facts: StudyFacts, task: str) -> float | None:
    """The rank correlation of mean drift with the fall of retrieval over the arms of a study; None for fewer than three arms."""
    losses = retrieval_losses(facts, task)
    pairs = [(drift, losses[arm]) for arm in losses if (drift := facts.models(task, arm).drift) is not None]
    drifts, falls = [drift for drift, _ in pairs], [fall for _, fall in pairs]
    return float(spearmanr(drifts, falls)[0]) if len(pairs) > 2 else None


def _rises(values: list[float]) -> bool:
    return all(first < second for first, second in pairwise(values))


def _kind(facts: StudyFacts, task: str, arm: str) -> tuple[str, str] | None:
    trained = next((t for t in facts.data.results.trained if (t.task, t.method) == (task, arm) and t.tuning), None)
    return None if trained is None or trained.tuning is None else (trained.tuning.kind, str(trained.tuning.options))


def paths_table(facts: StudyFacts, task: str, arms: Sequence[str]) -> str:
    """The score at each checkpoint and at the end of every run of some arms; the control is the best constant answer."""
    runs = [r for r in facts.data.results.runs if r.task == task and r.method in arms and r.status == "ok"]
    steps = sorted({r.step for r in runs if r.step})
    rows: list[list[str]] = []
    for arm, seed in dict.fromkeys((r.method, r.seed) for r in runs):
        of_run = {r.step: r for r in runs if (r.method, r.seed) == (arm, seed)}
        metric = of_run[0].learnt.metric if 0 in of_run and of_run[0].learnt else None
        scores = [of_run[step].metrics.get(metric) if metric and step in of_run else None for step in (*steps, 0)]
        rows.append([name_cell(facts.title(arm)), str(seed), *(MISSING if s is None else f"{s:.3f}" for s in scores)])
    judged = [r.learnt for r in runs if r.step == 0 and r.learnt is not None]
    constant = [
        f"The best constant answer has {score:.3f}." for score in dict.fromkeys(j.constant_score for j in judged)
    ]
    return "\n\n".join([table(["arm", "seed", *(f"step {step}" for step in steps), "end"], rows), *constant])


def _each_score(facts: StudyFacts, task: str, arm: str) -> str:
    """The scores of the final models, one by one."""
    runs = [
        r for r in facts.data.results.runs if (r.task, r.method, r.step, r.status) == (task, arm, 0, "ok") and r.learnt
    ]
    return f" ({', '.join(f'{r.learnt.score:.3f}' for r in runs if r.learnt)})" if len(runs) > 1 else ""
