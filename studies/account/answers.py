"""The questions of a study with their answers by task, in one table; each answer has its numbers, its verdict and the control it is read beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from studies.account.cells import MISSING, drift_cell, mean_of, table, target_at_equal_skill
from studies.account.facts import StudyFacts
from studies.account.outcome_tables import RETRIEVAL

from repdrift.core.claim_parts import deciding_pvalue
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, listed, markdown_text, p_equals, percent, pvalue, task_title

_SAID = {"supported": "yes", "rejected": "no", "undecided": "undecided"}


def short_answers(study: StudyFacts, parts: Mapping[str, StudyFacts], rates: StudyFacts | None) -> str:
    """Returns the table. A task has a column, all tasks together one where there are claims on them, and each question its control."""
    reference = study.title(study.study.reference_method)
    target = chosen_percent(study.study.target_reduction)
    rows: list[tuple[str, Callable[[StudyFacts, str], str], str]] = [
        (f"How far does {reference} move the layers?", _moved, "two seeds of it"),
        (
            "Which arms drift less at the same score?",
            lambda facts, task: _verdicts(facts, task, _at_equal_skill),
            "the same score on both sides, and seeds exchanged between the arms",
        ),
        (
            f"At least {target} less, at the end of training?",
            lambda facts, task: _verdicts(facts, task, _target_at_the_end),
            f"{chosen_percent(1 - study.study.target_reduction)} of the drift of {reference}",
        ),
        (f"At least {target} less, at the same score?", _target_at_equal_skill, "the interval over models"),
        ("Which arms drift more in the lowest layer?", _lowest_layer, f"{reference}, seed by seed"),
        ("Do intruder dimensions appear under LoRA only?", _intruders, f"the share under {reference}"),
        ("Which arms lose less of retrieval?", _lost, f"{reference} on the same questions; not corrected for the number of arms"),
        ("Does drift tell how much is lost?", _told, "models of one arm among each other"),
        ("How much is the learning rate alone?", lambda _, task: _rates(rates, task), "the same rows, steps and seeds"),
    ]  # fmt: skip
    tasks = [*parts, *([ALL_TASKS] if study.over_all() else [])]
    heads = [task_title(task) if task != ALL_TASKS else "all tasks" for task in tasks]
    lines = [
        [question, *(answer(parts.get(task, study), task) or MISSING for task in tasks), control]
        for question, answer, control in rows
    ]
    return table(["question", *heads, "beside"], [line for line in lines if set(line[1:-1]) != {MISSING}])


def _names(facts: StudyFacts, arms: Sequence[str]) -> str:
    return listed([markdown_text(facts.title(arm)) for arm in arms])


def _moved(facts: StudyFacts, task: str) -> str:
    reference = facts.study.reference_method
    models = facts.models(task, reference) if task != ALL_TASKS else None
    if models is None or not models.seeds:
        return ""
    layers, by_layer = facts.data.layers, models.by_layer
    seeds = mean_of(facts.control("seed_ceiling", task, reference))
    beside = "" if seeds is None else f"; two seeds lie {drift_cell(seeds)} apart"
    return (
        f"mean drift {drift_cell(models.drift)}, from {drift_cell(by_layer[0])} in layer {layers[0]} to "
        f"{drift_cell(by_layer[-1])} in layer {layers[-1]}{beside}"
    )


_Claim = tuple[HypothesisTest | None, Reduction | EqualSkill | None]
"""A test, and what its effect is told by."""


def _at_equal_skill(facts: StudyFacts, task: str, arm: str) -> _Claim:
    found = facts.equal_skill(task, arm)
    return (None, None) if found is None else (found.test, found)


def _target_at_the_end(facts: StudyFacts, task: str, arm: str) -> _Claim:
    return facts.target(task, arm), facts.reduction(task, arm)


def _verdicts(facts: StudyFacts, task: str, claim: Callable[[StudyFacts, str, str], _Claim]) -> str:
    """Arms by the verdict of a claim, each with its reduction, and the largest p-value of those that are shown."""
    sides: dict[str, list[str]] = {}
    shown: list[float] = []
    for arm in facts.compared:
        test, effect = claim(facts, task, arm)
        if test is None:
            continue
        reduction = None if effect is None else effect.reduction
        sides.setdefault(_SAID.get(test.verdict, test.verdict), []).append(
            markdown_text(facts.title(arm))
            + ("" if reduction is None else f" {percent(reduction)}")
            + _only(facts, task, arm)
        )
        if test.verdict == "supported" and (p := deciding_pvalue(test)) is not None:
            shown.append(p)
    bound = f" (largest p {pvalue(max(shown))})" if shown else ""
    order = [said for said in ("yes", "no", "undecided", *sides) if said in sides]
    return "; ".join(f"{said}{bound if said == 'yes' else ''}: {listed(sides[said])}" for said in dict.fromkeys(order))


def _target_at_equal_skill(facts: StudyFacts, task: str) -> str:
    sides: dict[str, list[str]] = {}
    for arm in facts.compared:
        said = target_at_equal_skill(facts.equal_skill(task, arm), facts.study.target_reduction)
        if said != MISSING:
            named = markdown_text(facts.title(arm)) + _only(facts, task, arm)
            sides.setdefault(_SAID[said.partition(":")[0]], []).append(named)
    return "; ".join(f"{said}: {listed(sides[said])}" for said in _SAID.values() if said in sides)


def _only(facts: StudyFacts, task: str, arm: str) -> str:
    """Of a claim over all tasks: the tasks that the arm has, where others have more."""
    there = facts.tasks_of(arm)
    return (
        f" (on {listed([task_title(t) for t in there])} alone)"
        if task == ALL_TASKS and len(there) < len(facts.begun)
        else ""
    )


def _lowest_layer(facts: StudyFacts, task: str) -> str:
    layer = facts.data.layers[0]
    sides: dict[str, list[str]] = {"more in every seed": [], "less in every seed": [], "seeds overlap": []}
    for arm in facts.compared if task != ALL_TASKS else []:
        reduction = facts.reduction(task, arm, layer)
        if reduction is None:
            continue
        ours = [value for value in reduction.comparison_by_seed.values() if value is not None]
        theirs = [value for value in reduction.reference_by_seed.values() if value is not None]
        if ours and theirs:
            more, less = min(ours) > max(theirs), max(ours) < min(theirs)
            side = "more in every seed" if more else "less in every seed" if less else "seeds overlap"
            sides[side].append(arm)
    return "; ".join(f"{side}: {_names(facts, arms)}" for side, arms in sides.items() if arms)


def _intruders(facts: StudyFacts, task: str) -> str:
    moved = facts.data.results.moved
    weights = moved.weights if moved else None
    if weights is None:
        return ""
    shares = [
        f"{markdown_text(facts.title(of.method))} {percent(of.intruder_share)}"
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
    if not shares:
        return ""
    return listed(shares) + (
        f"; smallest p against {facts.title(facts.study.reference_method)} {pvalue(min(ps))}" if ps else ""
    )


def _lost(facts: StudyFacts, task: str) -> str:
    outcomes, reference = facts.data.results.outcomes, facts.study.reference_method
    losses = {
        arm.method: -arm.difference
        for arm in (outcomes.arms if outcomes else [])
        if (arm.task, arm.outcome, arm.step, arm.layer) == (task, RETRIEVAL, 0, None) and arm.difference is not None
    }
    sides: dict[str, list[str]] = {"less": [], "more": [], "not told apart": []}
    for d in outcomes.differences if outcomes else []:
        if (d.task, d.reference, d.outcome) == (task, reference, RETRIEVAL) and d.method in losses:
            side = "less" if (d.low or 0) > 0 else "more" if (d.high or 0) < 0 else "not told apart"
            sides[side].append(f"{markdown_text(facts.title(d.method))} {losses[d.method]:.2f}")
    if reference not in losses:
        return ""
    said = "; ".join(f"{side}: {listed(arms)}" for side, arms in sides.items() if arms)
    return f"{markdown_text(facts.title(reference))} loses {losses[reference]:.2f} of the reciprocal rank; {said}"


def _told(facts: StudyFacts, task: str) -> str:
    found = next((p for p in facts.data.results.drift_predictors if p.outcome == RETRIEVAL), None)
    if found is None or task == ALL_TASKS:
        return ""
    known = [c for c in found.correlations if c.correlation is not None and c.pvalue_max_t is not None]
    if not known:
        return ""
    best = min(known, key=lambda c: c.pvalue_max_t or 0.0)
    p = best.pvalue_max_t or 0.0
    said = "yes" if p <= facts.study.alpha else "not shown"
    return f"{said}: the strongest of {len(known)} measures has rank correlation {best.correlation:.2f}, {p_equals(p)}"


def _rates(rates: StudyFacts | None, task: str) -> str:
    if rates is None or task not in rates.begun:
        return ""
    reference = rates.study.reference_method
    ends = [
        f"{markdown_text(rates.title(arm))} {percent(found.reduction)}"
        for arm in rates.compared
        if (found := rates.reduction(task, arm)) is not None and found.reduction is not None
    ]
    return (
        f"less drift than {markdown_text(rates.title(reference))}: {listed(ends)} (no p: too few seeds)" if ends else ""
    )
