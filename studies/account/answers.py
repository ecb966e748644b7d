"""The answers of a study in a few sentences, each with its numbers and, where there is a test, its verdict; the sections below have the controls."""

from __future__ import annotations

from collections.abc import Mapping

from studies.account.facts import StudyFacts
from studies.account.outcome_tables import RETRIEVAL

from repdrift.core.study_headline import headline
from repdrift.core.words import listed, markdown_text, percent, pvalue, sentence_case, task_title


def short_answers(study: StudyFacts, parts: Mapping[str, StudyFacts], rates: StudyFacts | None) -> list[str]:
    """The headline of the analysis, then for each task the lowest layer, new directions and what was lost, and last what rates alone do."""
    found = [markdown_text(headline(study.data.results, study.data.table))]
    for task, facts in parts.items():
        found += _lowest_layer(facts, task) + _intruders(facts, task) + _lost(facts, task)
    return [*found, *(_rates(rates) if rates is not None else [])]


def _lowest_layer(facts: StudyFacts, task: str) -> list[str]:
    layer = facts.data.layers[0]
    sides: dict[str, list[str]] = {"more": [], "less": []}
    for arm in facts.compared:
        reduction = facts.reduction(task, arm, layer)
        if reduction is None:
            continue
        ours = [value for value in reduction.comparison_by_seed.values() if value is not None]
        theirs = [value for value in reduction.reference_by_seed.values() if value is not None]
        if ours and theirs and min(ours) > max(theirs):
            sides["more"].append(facts.title(arm))
        elif ours and theirs and max(ours) < min(theirs):
            sides["less"].append(facts.title(arm))
    said = [f"{side} in every seed: {listed(arms)}" for side, arms in sides.items() if arms]
    if not said:
        said = ["no arm drifts more or less in every seed"]
    reference = facts.title(facts.study.reference_method)
    return [markdown_text(f"{task_title(task)}, the lowest layer, beside {reference}: {'; '.join(said)}.")]


def _intruders(facts: StudyFacts, task: str) -> list[str]:
    moved = facts.data.results.moved
    weights = moved.weights if moved else None
    if weights is None:
        return []
    shares = [
        f"{facts.title(of.method)} {percent(of.intruder_share)}"
        for of in weights.over_seeds
        if (of.task, of.part) == (task, "all") and of.intruder_share is not None
    ]
    ps = [
        p
        for c in weights.contrasts
        if c.quantity == "intruder_share"
        and c.reference == facts.study.reference_method
        and (p := c.p if c.p_adjusted is None else c.p_adjusted) is not None
    ]
    decided = (
        ""
        if not ps
        else f" The smallest p against {facts.title(facts.study.reference_method)}, corrected, is {pvalue(min(ps))}."
    )
    return [markdown_text(f"{task_title(task)}, intruder dimensions: {listed(shares)}.{decided}")] if shares else []


def _lost(facts: StudyFacts, task: str) -> list[str]:
    outcomes = facts.data.results.outcomes
    losses = {
        arm.method: -arm.difference
        for arm in (outcomes.arms if outcomes else [])
        if (arm.task, arm.outcome, arm.step, arm.layer) == (task, RETRIEVAL, 0, None) and arm.difference is not None
    }
    if not losses:
        return []
    order = sorted(losses, key=lambda arm: losses[arm])
    named = listed([f"{facts.title(arm)} {losses[arm]:.2f}" for arm in order])
    predictor = next((p for p in facts.data.results.drift_predictors if p.outcome == RETRIEVAL), None)
    within = "" if predictor is None else f" Within arms: {predictor.sentence.partition(' Left out: ')[0]}"
    sides = _beside_reference(facts, task)
    base = next(a.base_value for a in (outcomes.arms if outcomes else []) if a.outcome == RETRIEVAL)
    return [
        markdown_text(
            f"{task_title(task)}, lost of the reciprocal rank in retrieval ({base or 0:.2f} before tuning): {named}.{sides}{within}"
        )
    ]


def _beside_reference(facts: StudyFacts, task: str) -> str:
    """Which arms lose less or more than the reference: those whose interval of the difference does not hold 0."""
    outcomes, reference = facts.data.results.outcomes, facts.study.reference_method
    sides: dict[str, list[str]] = {"less": [], "more": []}
    for d in outcomes.differences if outcomes else []:
        if (
            (d.task, d.reference, d.outcome) == (task, reference, RETRIEVAL)
            and d.low is not None
            and d.high is not None
        ):
            sides["less"] += [facts.title(d.method)] if d.low > 0 else []
            sides["more"] += [facts.title(d.method)] if d.high < 0 else []
    said = [f"{side}: {listed(arms)}" for side, arms in sides.items() if arms]
    if not said:
        return f" No arm is shown to lose less or more than {facts.title(reference)}."
    return f" Beside {facts.title(reference)}, by intervals that are not corrected for the number of arms, {'; '.join(said)}."


def _rates(rates: StudyFacts) -> list[str]:
    found: list[str] = []
    for task in rates.begun:
        reference = rates.study.reference_method
        ends = {
            rates.title(arm): reduction.reduction
            for arm in rates.compared
            if (reduction := rates.reduction(task, arm)) is not None and reduction.reduction is not None
        }
        if ends:
            each = listed([f"{name} {percent(value)}" for name, value in ends.items()])
            found.append(
                sentence_case(
                    markdown_text(
                        f"{task_title(task)}, by the learning rate alone: against {rates.title(reference)}, less drift at the end by {each}."
                    )
                )
            )
    return found
