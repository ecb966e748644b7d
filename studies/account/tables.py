"""Tables of an account, each about one task of one study; rows are arms, and controls where a number needs one to be read."""

from __future__ import annotations

from collections.abc import Sequence

from studies.account.cells import (
    FROZEN,
    MISSING,
    drift_cell,
    end_cell,
    mean_of,
    name_cell,
    reduction_cell,
    skill_cell,
    some_layers,
    table,
    target_at_equal_skill,
    verdict_cell,
)
from studies.account.facts import StudyFacts

from repdrift.core.hypotheses import ABOVE_NOISE, ABOVE_SEEDS
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.tuning import TuningTrial
from repdrift.core.records.weights import WeightContrast, WeightsOverSeeds
from repdrift.core.tuning_words import rate_text
from repdrift.core.words import counted, listed, number, percent, pvalue, signed_digits


def arms_table(facts: StudyFacts, task: str) -> str:
    """What each arm trains, the rates that were tried for it with their scores, the one that was chosen, and the score of its models."""
    rows: list[list[str]] = []
    for arm in facts.arms_on(task):
        choice, score = facts.choice(task, arm), facts.score(task, arm)
        trials = sorted(choice.trials, key=lambda trial: trial.learning_rate) if choice else []
        tried = ", ".join(
            f"{rate_text(t.learning_rate)}: {'diverged' if t.score is None else f'{t.score:.3f}'}" for t in trials
        )
        chosen = MISSING if choice is None else rate_text(choice.learning_rate)
        near = [
            rate_text(t.learning_rate)
            for t in trials
            if choice and t.learning_rate != choice.learning_rate and _within_chance(choice.best, t)
        ]
        edge = f" (the {choice.at_edge} that was tried)" if choice and choice.at_edge else ""
        trained = next((t for t in facts.data.results.trained if (t.task, t.method) == (task, arm) and t.tuning), None)
        size = f"{trained.tuning.trained_parameters:,}" if trained and trained.tuning else MISSING
        rows.append(
            [
                name_cell(facts.title(arm)),
                facts.study.method_words.get(arm, facts.title(arm)),
                size,
                tried or MISSING,
                chosen + edge,
                listed(near) or MISSING,
                MISSING
                if score is None
                else score.text + (f" ± {score.spread:.3f}" if score.spread is not None else ""),
                MISSING if score is None else str(score.n_models),
            ]
        )
    head = [
        "arm",
        "tuning",
        "numbers that train",
        "rates: score of the trial",
        "chosen",
        "as good within chance",
        "score",
        "models",
    ]
    return table(head, rows)


def _within_chance(best: TuningTrial, other: TuningTrial) -> bool:
    """True if the score of another trial lies in the interval of the best one's over held-out rows."""
    return other.score is not None and best.low is not None and best.low <= other.score


def drift_table(facts: StudyFacts, task: str) -> str:
    """Drift of each arm by layer, and beneath it what no change, another seed and a random change of the same size give.

    Of a deep model only some layers have a column; the mean is over all.
    """
    layers = facts.data.layers
    rows: list[list[str]] = []
    for arm in facts.arms_on(task):
        models = facts.models(task, arm)
        if models.seeds:
            rows.append(
                [
                    name_cell(facts.title(arm)),
                    *map(drift_cell, models.by_layer),
                    drift_cell(models.drift, models.spread),
                ]
            )
    for name, words in (("seed_ceiling", "two seeds of it"), ("random_change", "random change of its size")):
        for arm in facts.arms_on(task):
            found = facts.control(name, task, arm)
            if any(value is not None for value in found):
                rows.append(
                    [f"{name_cell(facts.title(arm))}: {words}", *map(drift_cell, found), drift_cell(mean_of(found))]
                )
    rows += [
        ["no change (base twice)", *map(drift_cell, found), drift_cell(mean_of(found))]
        for found in [facts.control("identity", task)]
    ]
    rows += [
        ["no relation (mispaired)", *map(drift_cell, found), drift_cell(mean_of(found))]
        for found in [facts.control("mispaired", task)]
    ]
    kept = some_layers(layers)
    rows = [[row[0], *(row[1 + place] for place in kept), row[-1]] for row in rows]
    return table(["", *(f"layer {layers[place]}" for place in kept), "mean"], rows)


def floors_table(facts: StudyFacts, task: str) -> str:
    """For each arm whether its drift is above the noise of extraction, and above the drift between its own seeds."""
    rows = [
        [
            name_cell(facts.title(arm)),
            *(
                verdict_cell(facts.floor_test(claim, task, arm), facts.study.alpha)
                for claim in (ABOVE_NOISE, ABOVE_SEEDS)
            ),
        ]
        for arm in facts.arms_on(task)
    ]
    said = {cell for row in rows for cell in row[1:]}
    if len(said) == 1 and (only := said.pop()).startswith("undecided: so few models"):
        return f"Whether an arm drifts more than extraction's noise, and lies farther from the base than its seeds from one another, these models cannot decide by a test ({only.partition(': ')[2]}); the drifts and both controls stand in the table above."
    return table(
        ["arm", "above the noise of extraction", "farther from the base than its seeds from one another"], rows
    )


def comparison_table(facts: StudyFacts, task: str) -> str:
    """Each arm against the reference: reduction of drift at the end of training and at equal skill, with verdicts."""
    rows: list[list[str]] = []
    for arm in facts.compared_on(task):
        skill = facts.equal_skill(task, arm)
        at = ", ".join(f"{s.score:.3f}" for s in skill.scores) if skill and task != ALL_TASKS else ""
        second = skill.second_opinion if skill else None
        rows.append(
            [
                name_cell(facts.title(arm)) + facts.only_on(task, arm),
                _with_verdict(end_cell(facts.reduction(task, arm)), facts.less(task, arm)),
                at or MISSING,
                _with_verdict(skill_cell(skill), skill.test if skill else None),
                MISSING if second is None or second.reduction is None else percent(second.reduction),
                MISSING if task == ALL_TASKS else _beside_seeds(facts, task, arm),
            ]
        )
    head = ["arm", "less drift at the end of training", "equal score", "less drift at that score", "by regression"]
    return table([*head, "difference, beside two seeds of one arm"], rows)


def _with_verdict(reduction: str, test: HypothesisTest | None) -> str:
    """A reduction with its interval, and the verdict on the claim that there is one; one dash where both are missing."""
    verdict = verdict_cell(test)
    return MISSING if reduction == verdict == MISSING else f"{reduction}: {verdict}"


def _beside_seeds(facts: StudyFacts, task: str, arm: str) -> str:
    """The difference of two arms' mean drifts beside the drift between two seeds of one of them, the larger one, as a control."""
    found = facts.beside_seeds(task, arm)
    if found is None:
        return MISSING
    gap, floor = found
    return f"{drift_cell(gap)}, {'more' if gap > floor else 'less'} than {drift_cell(floor)}"


def target_table(facts: StudyFacts, task: str) -> str:
    """Whether each arm reaches the target, at the end of training (tested) and at equal skill (by the interval)."""
    target = facts.study.target_reduction
    rows = [
        [
            name_cell(facts.title(arm)),
            verdict_cell(facts.target(task, arm)),
            target_at_equal_skill(facts.equal_skill(task, arm), target),
        ]
        for arm in facts.compared_on(task)
    ]
    return table(["arm", "at the end of training", "at equal skill"], rows)


def layers_table(facts: StudyFacts, task: str) -> str:
    """The reduction of each arm in each layer, at the end of training."""
    rows = []
    for arm in facts.compared_on(task):
        found = [facts.reduction(task, arm, layer) for layer in facts.data.layers]
        rows.append(
            [
                name_cell(facts.title(arm)),
                *(
                    FROZEN
                    if facts.is_frozen(task, arm, layer)
                    else MISSING
                    if r is None
                    else percent(r.reduction, missing=MISSING)
                    for layer, r in zip(facts.data.layers, found, strict=True)
                ),
            ]
        )
    return table(["arm", *(f"layer {layer}" for layer in facts.data.layers)], rows)


def layer_verdicts_table(facts: StudyFacts) -> str:
    """Over all tasks, whether each arm drifts less than the reference in each layer, at the end of training."""
    rows = [
        [
            name_cell(facts.title(arm)) + facts.only_on(ALL_TASKS, arm),
            *(
                FROZEN
                if all(facts.is_frozen(task, arm, layer) for task in facts.tasks_of(arm))
                else verdict_cell(facts.less(ALL_TASKS, arm, layer))
                for layer in facts.data.layers
            ),
        ]
        for arm in facts.compared
    ]
    return table(["arm", *(f"layer {layer}" for layer in facts.data.layers)], rows)


def lowest_layer_table(facts: StudyFacts, task: str) -> str:
    """Drift in the lowest layer: each arm beside the reference, with the ranges over seeds."""
    layer = facts.data.layers[0]
    rows = []
    for arm in facts.compared_on(task):
        found = facts.reduction(task, arm, layer)
        if found is None:
            continue
        rows.append(
            [
                name_cell(facts.title(arm)),
                drift_cell(found.comparison_drift),
                drift_cell(found.reference_drift),
                FROZEN if facts.is_frozen(task, arm, layer) else end_cell(found),
                facts.side_of_lowest_layer(task, arm) or MISSING,
            ]
        )
    return table(["arm", "its drift", "drift of the reference", "less drift by", "seeds"], rows)


def intruders_table(facts: StudyFacts, task: str) -> str:
    """Share of intruder dimensions among the leading singular vectors of the changed matrices, and the size and rank of the change."""
    moved = facts.data.results.moved
    weights = moved.weights if moved else None
    if weights is None:
        return "The weights of these models were not described."
    rows = [
        [
            name_cell(facts.title(found.method)),
            _with_spread(found.intruder_share, found.intruder_share_sd),
            number(found.relative_change, missing=MISSING),
            MISSING if found.rank_90 is None else f"{found.rank_90:.0f}",
            str(len(found.seeds)),
            _contrast(_intruders_against(weights.contrasts, found, facts.study.reference_method)),
        ]
        for found in weights.over_seeds
        if (found.task, found.part) == (task, "all")
    ]
    return table(
        [
            "arm",
            "intruders",
            "relative change",
            "rank for 90 %",
            "models",
            "difference from the reference, in matrices that both changed",
        ],
        rows,
    )


def _intruders_against(
    contrasts: Sequence[WeightContrast], of: WeightsOverSeeds, reference: str
) -> WeightContrast | None:
    wanted = (of.method, reference, "intruder_share")
    return next((c for c in contrasts if (c.method, c.reference, c.quantity) == wanted), None)


def _contrast(found: WeightContrast | None) -> str:
    if found is None or found.estimate is None:
        return MISSING
    p = found.p_adjusted if found.p_adjusted is not None else found.p
    if p is None:
        return f"{signed_digits(100 * found.estimate)} points"
    ends = "" if found.low is None or found.high is None else f" ({100 * found.low:.2f} to {100 * found.high:.2f})"
    return f"{signed_digits(100 * found.estimate)} points{ends}, p {pvalue(p)}"


def rates_table(facts: StudyFacts, task: str) -> str:
    """A study whose arms differ by their learning rates: score, drift at the end, and reductions against the reference."""
    rows = []
    for arm in facts.arms_on(task):
        models, score, skill = facts.models(task, arm), facts.score(task, arm), facts.equal_skill(task, arm)
        trained = next((t for t in facts.data.results.trained if (t.task, t.method) == (task, arm)), None)
        rate = MISSING if trained is None else rate_text(float(trained.hyperparameters["learning_rate"]))
        end = facts.reduction(task, arm)
        rows.append(
            [
                name_cell(facts.title(arm)),
                rate,
                MISSING if score is None else score.text + _each_score(facts, task, arm),
                drift_cell(models.drift, models.spread),
                "reference"
                if arm == facts.study.reference_method
                else reduction_cell(end.reduction if end else None, None).replace(" (no interval)", ""),
                "reference"
                if arm == facts.study.reference_method
                else MISSING
                if skill is None or skill.reduction is None
                else percent(skill.reduction),
                counted(len(models.seeds), "model"),
            ]
        )
    head = ["arm", "learning rate", "score", "mean drift at the end", "less drift, at the end", "at equal skill", ""]
    return table(head, rows)


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


def _with_spread(share: float | None, spread: float | None) -> str:
    return percent(share, missing=MISSING) + (f" ± {percent(spread)}" if spread is not None else "")
