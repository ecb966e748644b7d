"""Tables of an account on what the models can do: what was lost of retrieval, probes, and which drift goes with it."""

from __future__ import annotations

from studies.account.cells import MISSING, name_cell, table
from studies.account.facts import StudyFacts

from repdrift.core.records.outcomes import ArmOutcome
from repdrift.core.words import listed, percent, pvalue, signed_digits, task_title

RETRIEVAL, RETRIEVAL_FIRST = "retrieval", "retrieval_first"


def predictors_table(facts: StudyFacts, outcome: str) -> str:
    """The rank correlation of every measure's drift with an outcome over models, within tasks and arms."""
    found = next((p for p in facts.data.results.drift_predictors if p.outcome == outcome), None)
    if found is None:
        return "This was not measured."
    if found.missing is not None:
        return found.missing
    rows = [
        [
            c.title,
            MISSING if c.correlation is None else f"{c.correlation:.2f}",
            _range(c.low, c.high),
            pvalue(c.pvalue_max_t, missing=MISSING),
        ]
        for c in found.correlations
    ]
    return table(["measure", f"correlation with {found.outcome_title}", "interval", "p, over all measures"], rows)


def retrieval_losses(facts: StudyFacts, task: str) -> dict[str, float]:
    """By arm, by how much the mean reciprocal rank in retrieval fell."""
    outcomes = facts.data.results.outcomes
    return {
        arm.method: -arm.difference
        for arm in (outcomes.arms if outcomes else [])
        if (arm.task, arm.outcome, arm.step, arm.layer) == (task, RETRIEVAL, 0, None) and arm.difference is not None
    }


def retrieval_base(facts: StudyFacts) -> str:
    """The mean reciprocal rank of the base model; `not measured` without one."""
    outcomes = facts.data.results.outcomes
    found = (a.base_value for a in (outcomes.arms if outcomes else []) if a.outcome == RETRIEVAL)
    value = next((value for value in found if value is not None), None)
    return "not measured" if value is None else f"{value:.2f}"


def retrieval_table(facts: StudyFacts, task: str) -> str:
    """What the models of each arm have lost of retrieval, beside the base model, and what chance gives."""
    outcomes = facts.data.results.outcomes
    found = (
        {(a.method, a.outcome): a for a in outcomes.arms if (a.task, a.step, a.layer) == (task, 0, None)}
        if outcomes
        else {}
    )
    rows: list[list[str]] = []
    for arm in facts.study.methods:
        rank, first = found.get((arm, RETRIEVAL)), found.get((arm, RETRIEVAL_FIRST))
        if rank is None or rank.difference is None or rank.base_value is None:
            continue
        ends = "no interval" if rank.low is None or rank.high is None else f"{-rank.high:.3f} to {-rank.low:.3f}"
        rows.append(
            [
                name_cell(facts.title(arm)),
                f"{rank.value:.3f}",
                f"{-rank.difference:.3f} ({ends})",
                MISSING if first is None else percent(first.value),
                _against_reference(facts, task, arm),
                str(len(rank.seeds)),
            ]
        )
    if not rows or outcomes is None:
        return "This was not measured for these models."
    base = {
        name: next(a.base_value for (_, of), a in found.items() if of == name) for name in (RETRIEVAL, RETRIEVAL_FIRST)
    }
    rows.insert(0, ["base model", f"{base[RETRIEVAL]:.3f}", "-", percent(base[RETRIEVAL_FIRST]), "-", "1"])
    notes = [
        name_cell(note) for note in outcomes.notes if "retrieval by chance" in note.casefold() or " look for " in note
    ]
    head = [
        "arm",
        "reciprocal rank of the right paragraph",
        "fall",
        "right paragraph first",
        "falls less than under the reference by",
        "models",
    ]
    how = {a.interval.removeprefix("jackknife over ") for (_, of), a in found.items() if of == RETRIEVAL and a.interval}
    kinds = [f"Intervals are over {listed(sorted(how))}."] if how else []
    return "\n\n".join([table(head, rows), *kinds, *notes])


def _against_reference(facts: StudyFacts, task: str, arm: str) -> str:
    """By how much an arm's models lose less than those of the reference, with the interval."""
    if arm == facts.study.reference_method:
        return "reference"
    outcomes = facts.data.results.outcomes
    wanted = (task, arm, facts.study.reference_method, RETRIEVAL)
    found = next(
        (d for d in (outcomes.differences if outcomes else []) if (d.task, d.method, d.reference, d.outcome) == wanted),
        None,
    )
    if found is None:
        return MISSING
    ends = "no interval" if found.low is None or found.high is None else f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.difference:.3f} ({ends})"


def probes_table(facts: StudyFacts, task: str) -> str:
    """By layer, how much better a probe reads the task's classes off the tuned models than off the base model."""
    outcomes = facts.data.results.outcomes
    arms = [a for a in outcomes.arms if (a.task, a.outcome, a.step) == (task, "probe", 0)] if outcomes else []
    if not arms:
        return f"{task_title(task)} has no probes."
    by_place = {(a.method, a.layer): a for a in arms}
    rows = []
    for arm in facts.study.methods:
        found = [by_place.get((arm, layer)) for layer in facts.data.layers]
        rows.append(
            [
                name_cell(facts.title(arm)),
                *(MISSING if a is None or a.difference is None else _points(a) for a in found),
            ]
        )
    base = [next((a.base_value for a in arms if a.layer == layer), None) for layer in facts.data.layers]
    rows.insert(0, ["base model (accuracy)", *(percent(value, missing=MISSING) for value in base)])
    return table(["points above the base model", *(f"layer {layer}" for layer in facts.data.layers)], rows)


def _points(of: ArmOutcome) -> str:
    """A difference in points, with its interval."""
    ends = "" if of.low is None or of.high is None else f" ({100 * of.low:.1f} to {100 * of.high:.1f})"
    return signed_digits(100 * (of.difference or 0.0)) + ends


def _range(low: float | None, high: float | None) -> str:
    return MISSING if low is None or high is None else f"{low:.2f} to {high:.2f}"
