"""Tables of an account, each about one task of one study; rows are arms, and controls where a number needs one to be read."""

from __future__ import annotations

from collections.abc import Mapping

from studies.account.cells import (
    FROZEN,
    MISSING,
    drift_cell,
    end_cell,
    mean_of,
    name_cell,
    skill_cell,
    some_layers,
    table,
    target_at_equal_skill,
    verdict_cell,
)
from studies.account.facts import StudyFacts

from repdrift.core.claim_parts import deciding_pvalue
from repdrift.core.hypotheses import ABOVE_NOISE, ABOVE_SEEDS, ALIKE
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.tuning import TuningRecord, TuningTrial
from repdrift.core.tuning_words import rate_text
from repdrift.core.words import chosen_percent, listed, percent, task_title


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
        near = [rate_text(t.learning_rate) for t in as_good_within_chance(choice)] if choice else []
        edge = f" (the {choice.at_edge} that was tried)" if choice and choice.at_edge else ""
        trained = next((t for t in facts.data.results.trained if (t.task, t.method) == (task, arm) and t.tuning), None)
        size = f"{trained.tuning.trained_parameters:,}" if trained and trained.tuning else MISSING
        rows.append(
            [
                facts.name(task, arm),
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


def as_good_within_chance(choice: TuningRecord) -> list[TuningTrial]:
    """The trials at other rates whose score lies in the interval of the best one's over held-out rows, by their rates."""
    low = choice.best.low
    others = [t for t in choice.trials if t.learning_rate != choice.learning_rate and t.score is not None]
    return sorted((t for t in others if low is not None and low <= (t.score or 0.0)), key=lambda t: t.learning_rate)


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
                    facts.name(task, arm),
                    *map(drift_cell, models.by_layer),
                    drift_cell(models.drift, models.spread),
                ]
            )
    for name, words in (("seed_ceiling", "two seeds of it"), ("random_change", "random change of its size")):
        for arm in facts.arms_on(task):
            found = facts.control(name, task, arm)
            if any(value is not None for value in found):
                rows.append([f"{facts.name(task, arm)}: {words}", *map(drift_cell, found), drift_cell(mean_of(found))])
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
                facts.name(task, arm) + facts.only_on(task, arm),
                _with_verdict(end_cell(facts.reduction(task, arm)), facts.less(task, arm)),
                at or MISSING,
                _with_verdict(skill_cell(skill), skill.test if skill else None),
                MISSING if second is None or second.reduction is None else percent(second.reduction),
                MISSING if task == ALL_TASKS else _beside_seeds(facts, task, arm),
            ]
        )
    head = ["arm", "less drift at the end of training", "equal score", "less drift at that score", "by regression"]
    return table([*head, "difference at the end, beside two seeds of one arm (the larger of both arms)"], rows)


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
            facts.name(task, arm),
            verdict_cell(facts.target(task, arm)),
            target_at_equal_skill(facts.equal_skill(task, arm), target),
            verdict_cell(facts.test(ALIKE, task, arm)),
        ]
        for arm in facts.compared_on(task)
    ]
    margin = facts.study.equivalence_margin
    alike = "alike at the end" if margin is None else f"alike within a factor of {margin:g}, at the end"
    return table(
        ["arm", f"at least {chosen_percent(target)} less, at the end of training", "the same, at equal skill", alike],
        rows,
    )


def other_measures_table(facts: StudyFacts, task: str) -> str:
    """The reduction of each arm at the end of training by every measure, with its interval; a test is made by the primary measure alone."""
    names = [name for name in facts.study.measures if any(r.measure == name for r in facts.data.results.other_measures)]
    rows: list[list[str]] = []
    for arm in facts.compared_on(task):
        others = {
            r.measure: r
            for r in facts.data.results.other_measures
            if (r.comparison or facts.study.comparison_method, r.task, r.layer) == (arm, task, None)
        }
        found = [facts.reduction(task, arm), *(others.get(name) for name in names)]
        rows.append([facts.name(task, arm) + facts.only_on(task, arm), *map(end_cell, found)])
    titles = facts.study.measure_titles
    primary = facts.study.primary_measure
    return table(["arm", f"{titles.get(primary, primary)} (tested)", *(titles.get(name, name) for name in names)], rows)


def layers_table(facts: StudyFacts, task: str) -> str:
    """The reduction of each arm in each layer, at the end of training."""
    rows = []
    for arm in facts.compared_on(task):
        found = [facts.reduction(task, arm, layer) for layer in facts.data.layers]
        rows.append(
            [
                facts.name(task, arm),
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
                facts.name(task, arm),
                drift_cell(found.comparison_drift),
                drift_cell(found.reference_drift),
                FROZEN if facts.is_frozen(task, arm, layer) else end_cell(found),
                facts.side_of_lowest_layer(task, arm) or MISSING,
            ]
        )
    return table(["arm", "its drift", "drift of the reference", "less drift by", "models"], rows)


def settings_in_words(facts: StudyFacts, task: str) -> str:
    """Rows, epochs, steps and batches of the training, and the samples that drift is measured on; empty where the results do not tell them."""
    trained = [t for t in facts.data.results.trained if t.task == task]
    samples = {r.n_samples for r in facts.data.results.runs if (r.task, r.step, r.status) == (task, 0, "ok")}
    if not trained:
        return ""
    settings = [
        (f"{t.n_train:,} training rows", f"{t.hyperparameters['epochs']:g} epochs", f"{t.hyperparameters.get('steps', '?')} steps of {t.hyperparameters['batch_size']} rows",
         f"scored on {t.n_validation:,} validation rows")
        for t in trained
    ]  # fmt: skip
    said = " or ".join(", ".join(each) for each in dict.fromkeys(settings))
    of = listed([f"{n:,}" for n in sorted(n for n in samples if n is not None)])
    return f"{said}; drift is measured on {of} of them." if of else f"{said}."


def rows_in_words(parts: Mapping[str, StudyFacts]) -> str:
    """The training rows of each task."""
    found = {name: {t.n_train for t in facts.data.results.trained if t.task == name} for name, facts in parts.items()}
    said = [
        f"{listed([f'{n:,}' for n in sorted(rows)])} training rows of {task_title(name)}" for name, rows in found.items() if rows
    ]  # fmt: skip
    return listed(said) if said else "The results do not tell how many rows were trained on"


def at_smallest_p(facts: StudyFacts, task: str) -> list[str]:
    """The claims on arms whose deciding p is the smallest that the design can give, and on which a verdict rests."""
    claims = {"less drift at the end of training": facts.less, "at least the target": facts.target}
    found: list[str] = []
    for words, claim in claims.items():
        for arm in facts.compared_on(task):
            test = claim(task, arm)
            p = None if test is None else deciding_pvalue(test)
            if (
                test is not None
                and test.verdict == "supported"
                and p is not None
                and p == test.smallest_deciding_pvalue
            ):
                found.append(f"{words} ({facts.title(arm)})")
    return found
