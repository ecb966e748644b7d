"""The questions of a study with their answers by task; each answer has its numbers, its verdict and the control it is read beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from studies.account.cells import MISSING, drift_cell, mean_of, target_at_equal_skill
from studies.account.facts import LOWEST_LAYER, StudyFacts, measured_together
from studies.account.likeness_tables import likeness_answer
from studies.account.outcome_tables import RETRIEVAL, retrieval_losses, scores_lower
from studies.account.rates_tables import kinds_of, order_of_means, same_arm_at_other_rates
from studies.account.tables import as_good_within_chance
from studies.account.weight_tables import intruders_answer

from repdrift.core.claim_parts import deciding_pvalue
from repdrift.core.hypotheses import ALIKE
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.tuning_words import rate_text
from repdrift.core.words import chosen_percent, counted, listed, markdown_text, p_equals, percent, pvalue, task_title

_BELOW_SEEDS = "†"
"""Marks a difference that two seeds of one arm exceed."""
_SAID = {"supported": "yes", "rejected": "no", "undecided": "undecided"}


def short_answers(
    study: StudyFacts,
    parts: Mapping[str, StudyFacts],
    rates: StudyFacts | None,
    again: Mapping[str, StudyFacts] | None = None,
) -> str:
    """Returns each question with its control, and below it a line for every task that has an answer, and for all tasks together where there are claims on them.

    again: results of tasks that were trained once more; a verdict that they do not share is marked.
    """
    reference = study.title(study.study.reference_method)
    target, margin = chosen_percent(study.study.target_reduction), study.study.equivalence_margin
    measure = study.study.measure_titles.get(study.study.primary_measure, study.study.primary_measure)
    rows: list[tuple[str, Callable[[StudyFacts, str], str], str]] = [
        (f"How far does {reference} move the layers?", _moved, "a random change of the weights of the same size, and two seeds"),
        (
            "Which arms drift less at the same score, at the rates that their trials chose?",
            lambda facts, task: _verdicts(facts, task, _at_equal_skill, again or {}),
            f"{reference} at that score, seeds exchanged between the arms; the choice of rates has no test",
        ),
        (
            f"At least {target} less, at the end of training, by {measure}?",
            lambda facts, task: _verdicts(facts, task, _target_at_the_end, again or {}),
            f"{chosen_percent(1 - study.study.target_reduction)} of the drift of {reference}",
        ),
        (
            f"At least {target} less, at the same score, by {measure}?",
            lambda facts, task: _target_at_equal_skill(facts, task, again or {}),
            f"{chosen_percent(1 - study.study.target_reduction)} of the drift of {reference} at that score, by the interval over models",
        ),
        (
            f"At least {target} less by another measure, at the end of training?",
            _by_other_measures,
            f"{chosen_percent(1 - study.study.target_reduction)} of the drift of {reference} by that measure; means over models, not tested",
        ),
        (
            "Are they alike, at the end of training?" if margin is None else f"Are they alike within a factor of {margin:g}, at the end of training?",
            lambda facts, task: _verdicts(facts, task, _alike, again or {}),
            f"{reference}, that factor more and less",
        ),
        ("In which layers do they drift less, at the end of training?", _layers, f"{reference}, corrected over layers and arms"),
        ("Which arms drift more in the lowest layer, at the end of training?", _lowest_layer, f"every model of {reference}; over all tasks by a test, corrected over layers and arms"),
        ("Do intruder dimensions appear under LoRA only?", intruders_answer, f"{reference}; p corrected over all such claims"),
        (
            "Where do samples move in like directions: in two models of one arm, or in two of one seed?",
            likeness_answer,
            "pairs that have neither in common",
        ),
        (
            "Whose retrieval score falls less?",
            lambda facts, task: _lost(facts, task, rates),
            f"{reference} at its chosen rate, on the same questions, not at one score; intervals not corrected for the number of arms",
        ),
        ("Does more drift go with a larger fall of it?", lambda facts, task: _told(facts, task, rates), "seeds of one arm among each other; arms; rates"),
        ("How much is the learning rate alone?", lambda _, task: _rates(rates, task), "the same arm, rows, steps and seeds"),
    ]  # fmt: skip
    tasks = [*parts, *([ALL_TASKS] if study.over_all() else [])]
    several = {
        words: facts for words, facts in measured_together(parts).items() if facts is not study and len(facts.begun) > 1
    }
    asked: list[str] = []
    for question, answer, control in rows:
        found = {task: said for task in tasks if (said := answer(parts.get(task, study), task))}
        lines = [f"- {'All tasks' if task == ALL_TASKS else task_title(task)}: {said}." for task, said in found.items()]
        if ALL_TASKS not in found:  # what needs representations is of tasks that were measured together
            lines += [f"- {words}: {said}." for words, facts in several.items() if (said := answer(facts, ALL_TASKS))]
        if lines:
            asked += [f"**{question}** *Compared with {control}.*", "\n".join(lines)]
    return "\n\n".join(asked)


def _names(facts: StudyFacts, task: str, arms: Sequence[str]) -> str:
    return listed([facts.name(task, arm) for arm in arms])


def _moved(facts: StudyFacts, task: str) -> str:
    reference = facts.study.reference_method
    models = facts.models(task, reference) if task != ALL_TASKS else None
    if models is None or not models.seeds:
        return ""
    layers, by_layer = facts.data.layers, models.by_layer
    seeds, random = (mean_of(facts.control(name, task, reference)) for name in ("seed_ceiling", "random_change"))
    beside = "" if random is None else f"; a random change {drift_cell(random)}"
    beside += "" if seeds is None else f"; from one seed's model to another's {drift_cell(seeds)}"
    return (
        f"mean drift {drift_cell(models.drift, models.spread)}, from {drift_cell(by_layer[0])} in layer {layers[0]} to "
        f"{drift_cell(by_layer[-1])} in layer {layers[-1]}{beside}"
    )


_Claim = tuple[HypothesisTest | None, Reduction | EqualSkill | None]
"""A test, and what its effect is told by."""


def _at_equal_skill(facts: StudyFacts, task: str, arm: str) -> _Claim:
    found = facts.equal_skill(task, arm)
    return (None, None) if found is None else (found.test, found)


def _target_at_the_end(facts: StudyFacts, task: str, arm: str) -> _Claim:
    return facts.target(task, arm), facts.reduction(task, arm)


def _alike(facts: StudyFacts, task: str, arm: str) -> _Claim:
    return facts.test(ALIKE, task, arm), None


def _verdicts(
    facts: StudyFacts, task: str, claim: Callable[[StudyFacts, str, str], _Claim], again: Mapping[str, StudyFacts]
) -> str:
    """Arms by the verdict of a claim, each with its reduction, and the largest p-value of those that are shown."""
    sides: dict[str, list[str]] = {}
    shown: list[float] = []
    for arm in facts.compared:
        test, effect = claim(facts, task, arm)
        if test is None:
            continue
        reduction = None if effect is None else effect.reduction
        below = test.verdict == "supported" and _is_below_seeds(facts, task, arm, claim)
        other = claim(again[task], task, arm)[0] if task in again else None
        sides.setdefault(_SAID.get(test.verdict, test.verdict), []).append(
            facts.name(task, arm)
            + ("" if reduction is None else f" {percent(reduction)}")
            + (_BELOW_SEEDS if below else "")
            + facts.only_on(task, arm)
            + _frozen(facts, task, arm)
            + _not_again(test.verdict, None if other is None else other.verdict)
        )
        if test.verdict == "supported" and (p := deciding_pvalue(test)) is not None:
            shown.append(p)
    bound = f" (largest p {pvalue(max(shown))})" if shown else ""
    order = [said for said in ("yes", "no", "undecided", *sides) if said in sides]
    return "; ".join(f"{said}{bound if said == 'yes' else ''}: {listed(sides[said])}" for said in dict.fromkeys(order))


def _is_below_seeds(facts: StudyFacts, task: str, arm: str, claim: Callable[[StudyFacts, str, str], _Claim]) -> bool:
    """Tells whether the difference of drift that a claim is about is below that of two seeds; over all tasks, whether it is on one of them."""
    for name in facts.tasks_of(arm) if task == ALL_TASKS else [task]:
        _, effect = claim(facts, name, arm)
        seeds = facts.between_seeds(name, arm)
        if effect is None or effect.reference_drift is None or effect.comparison_drift is None or seeds is None:
            continue
        if abs(effect.reference_drift - effect.comparison_drift) <= seeds:
            return True
    return False


def _frozen(facts: StudyFacts, task: str, arm: str) -> str:
    frozen = len(facts.frozen_layers(task, arm))
    return f" ({frozen} of {counted(len(facts.data.layers), 'layer')} cannot move)" if frozen else ""


def _not_again(here: str, there: str | None) -> str:
    return f" ({_SAID.get(there, there)} when it was trained again)" if there is not None and there != here else ""


def _target_at_equal_skill(facts: StudyFacts, task: str, again: Mapping[str, StudyFacts]) -> str:
    sides: dict[str, list[str]] = {}
    target = facts.study.target_reduction
    for arm in facts.compared:
        said = target_at_equal_skill(facts.equal_skill(task, arm), target).partition(":")[0]
        if said == MISSING:
            continue
        other = target_at_equal_skill(again[task].equal_skill(task, arm), target) if task in again else MISSING
        there = None if other == MISSING else other.partition(":")[0]
        sides.setdefault(_SAID[said], []).append(
            facts.name(task, arm) + facts.only_on(task, arm) + _not_again(said, there)
        )
    return "; ".join(f"{said}: {listed(sides[said])}" for said in _SAID.values() if said in sides)


def _by_other_measures(facts: StudyFacts, task: str) -> str:
    """The arms whose reduction reaches the target by each measure that is not tested."""
    found: dict[str, list[str]] = {}
    for r in facts.data.results.other_measures:
        if (r.task, r.layer) == (task, None):
            arm = r.comparison or facts.study.comparison_method
            reaches = r.reduction is not None and r.reduction >= facts.study.target_reduction
            said = f"{facts.name(task, arm)} {percent(r.reduction)}{facts.only_on(task, arm)}"
            found.setdefault(r.measure, []).extend([said] if reaches else [])
    titles = facts.study.measure_titles
    return "; ".join(f"by {titles.get(name, name)}: {listed(arms) or 'none'}" for name, arms in found.items())


def _layers(facts: StudyFacts, task: str) -> str:
    """Of the claims by layer, which are over all tasks of an analysis: the layers in which they are supported, frozen ones apart."""
    if task != ALL_TASKS and facts.study.tasks != [task]:
        return ""
    said: list[str] = []
    for arm in facts.compared:
        frozen = [n for n in facts.data.layers if all(facts.is_frozen(t, arm, n) for t in facts.tasks_of(arm))]
        shown = [
            str(n)
            for n in facts.data.layers
            if n not in frozen and (test := facts.less(ALL_TASKS, arm, n)) is not None and test.verdict == "supported"
        ]
        if shown:
            said.append(f"{facts.name(task, arm)} in {listed(shown)}" + facts.only_on(task, arm))
    return "; ".join(said)


def _lowest_layer(facts: StudyFacts, task: str) -> str:
    if task == ALL_TASKS:
        layer, said = facts.data.layers[0], {"rejected": "more", "supported": "less", "undecided": "undecided"}
        tested: dict[str, list[str]] = {}
        for arm in facts.compared:
            test = facts.less(ALL_TASKS, arm, layer)
            if test is not None and layer not in facts.frozen_layers(task, arm):
                tested.setdefault(said.get(test.verdict, test.verdict), []).append(
                    facts.name(task, arm) + facts.only_on(task, arm)
                )
        return "; ".join(f"{side}: {listed(arms)}" for side, arms in tested.items())
    sides: dict[str, list[str]] = {side: [] for side in LOWEST_LAYER}
    for arm in facts.compared:
        if (side := facts.side_of_lowest_layer(task, arm)) is not None:
            sides[side].append(arm)
    return "; ".join(f"{side}: {_names(facts, task, arms)}" for side, arms in sides.items() if arms)


def _lost(facts: StudyFacts, task: str, rates: StudyFacts | None) -> str:
    reference, losses = facts.study.reference_method, retrieval_losses(facts, task)
    outcomes = facts.data.results.outcomes
    sides: dict[str, list[str]] = {"falls less": [], "falls more": [], "the difference may be chance": []}
    for d in outcomes.differences if outcomes else []:
        if (d.task, d.reference, d.outcome) == (task, reference, RETRIEVAL) and d.method in losses:
            side = (
                "falls less"
                if (d.low or 0) > 0
                else "falls more"
                if (d.high or 0) < 0
                else "the difference may be chance"
            )
            lower = " at a lower score" if scores_lower(facts, task, d.method) else ""
            sides[side].append(f"{facts.name(task, d.method)} (by {losses[d.method]:.2f}{lower})")
    if reference not in losses:
        return ""
    said = "; ".join(f"{side}: {listed(arms)}" for side, arms in sides.items() if arms)
    return f"{facts.name(task, reference)} falls by {losses[reference]:.2f}{_at_near_rates(facts, task, rates)}; {said}"


def _at_near_rates(facts: StudyFacts, task: str, rates: StudyFacts | None) -> str:
    """The fall under the reference at rates that are as good within chance as the chosen one, where a study of rates has them."""
    choice = facts.choice(task, facts.study.reference_method)
    if rates is None or choice is None:
        return ""
    near = {trial.learning_rate for trial in as_good_within_chance(choice)}
    losses = retrieval_losses(rates, task)
    arms = same_arm_at_other_rates(facts, rates, task)
    found = [f"by {losses[arm]:.2f} at the rate {rate_text(rate)}, which is as good within chance" for arm, rate in arms.items() if rate in near and arm in losses]  # fmt: skip
    return f" ({listed(found)})" if found else ""


def _told(facts: StudyFacts, task: str, rates: StudyFacts | None) -> str:
    found = next((p for p in facts.data.results.drift_predictors if p.outcome == RETRIEVAL), None)
    known = [c for c in found.correlations if c.correlation is not None and c.pvalue_max_t is not None] if found else []
    said: list[str] = []
    if known and (task == ALL_TASKS or len(facts.begun) == 1):  # an analysis of several tasks tells it for all together
        best = min(known, key=lambda c: c.pvalue_max_t or 0.0)
        p = best.pvalue_max_t or 0.0
        first = next((c for c in known if c.measure == facts.study.primary_measure), best)
        verdict = "yes" if p <= facts.study.alpha else "undecided"
        said.append(
            f"among seeds of one arm {verdict}: rank correlation {first.correlation:.2f} by {first.title} ({p_equals(first.pvalue_max_t or 0.0)}); of {len(known)} measures the strongest is "
            f"{best.title} with {best.correlation:.2f} ({p_equals(p)})"
        )
    for study, among in ((facts, "among the arms of this study"), (rates, "among arms at other rates")):
        order = order_of_means(study, task) if study is not None and task in study.begun else None
        if order is not None:
            said.append(f"{among} the means have rank correlation {order:.2f} (not tested)")
    return "; ".join(said)


def _rates(rates: StudyFacts | None, task: str) -> str:
    if rates is None or task not in rates.begun:
        return ""
    kinds = kinds_of(rates)
    losses = retrieval_losses(rates, task)
    said: list[str] = []
    for words, arms in kinds.items():
        drifts = [drift_cell(rates.models(task, arm).drift) for arm in arms]
        falls = (
            f"; retrieval falls by {listed([f'{losses[arm]:.2f}' for arm in arms])}"
            if all(a in losses for a in arms)
            else ""
        )
        said.append(f"{markdown_text(words)}, from the lowest rate to the highest: drift {listed(drifts)}{falls}")
    return ". ".join(said) + f" ({counted(len(rates.study.seeds), 'model')} each, no test)"
