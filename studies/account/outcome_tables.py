"""Tables of an account on what the models can do: what was lost of retrieval, probes, and which drift goes with it."""

from __future__ import annotations

from studies.account.cells import MISSING, name_cell, table
from studies.account.facts import StudyFacts

from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ArmDifference, ArmOutcome
from repdrift.core.words import listed, percent, pvalue, signed_digits, task_title

RETRIEVAL, RETRIEVAL_FIRST = "retrieval", "retrieval_first"
FORGETTING, OUTPUT_KL = "forgetting", "output_kl"


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
    for arm in facts.arms_on(task):
        rank, first = found.get((arm, RETRIEVAL)), found.get((arm, RETRIEVAL_FIRST))
        if rank is None or rank.difference is None or rank.base_value is None:
            continue
        ends = _ends(_negative(rank.high), _negative(rank.low))
        rows.append(
            [
                facts.name(task, arm),
                f"{rank.value:.3f}",
                f"{-rank.difference:.3f} ({ends})",
                MISSING if first is None else percent(first.value),
                _falls_less(facts, task, arm),
                _score_beside(facts, task, arm),
                str(len(rank.seeds)),
            ]
        )
    if not rows or outcomes is None:
        return "This was not measured for these models."
    base = {
        name: next(a.base_value for (_, of), a in found.items() if of == name) for name in (RETRIEVAL, RETRIEVAL_FIRST)
    }
    rows.insert(0, ["base model", f"{base[RETRIEVAL]:.3f}", "-", percent(base[RETRIEVAL_FIRST]), "-", "-", "1"])
    notes = [
        name_cell(note) for note in outcomes.notes if "retrieval by chance" in note.casefold() or " look for " in note
    ]
    head = [
        "arm",
        "reciprocal rank of the right paragraph",
        "fall",
        "right paragraph first",
        "falls less than under the reference by",
        "score, above that of the reference",
        "models",
    ]
    how = {a.interval.removeprefix("jackknife over ") for (_, of), a in found.items() if of == RETRIEVAL and a.interval}
    kinds = [f"Intervals are over {listed(sorted(how))}."] if how else []
    return "\n\n".join([table(head, rows), *kinds, *notes])


def forgetting_table(facts: StudyFacts, task: str) -> str:
    """The loss of each arm's models on general text beside that of the base model, and how far their predictions moved there."""
    outcomes = facts.data.results.outcomes
    arms = outcomes.arms if outcomes else []
    found = {
        (a.method, a.outcome): a
        for a in arms
        if (a.task, a.step, a.layer, a.inputs) == (task, 0, None, ON_GENERAL_TEXT)
    }
    rows: list[list[str]] = []
    for arm in facts.arms_on(task):
        loss, divergence = found.get((arm, FORGETTING)), found.get((arm, OUTPUT_KL))
        if loss is None or loss.difference is None:
            continue
        moved = MISSING if divergence is None else f"{divergence.value:.3f}"
        rise = f"{loss.difference:.3f} ({_ends(loss.low, loss.high)})"
        rows.append([facts.name(task, arm), f"{loss.value:.3f}", rise, moved, _rises_less(facts, task, arm), str(len(loss.seeds))])  # fmt: skip
    if not rows:
        return "This was not measured for these models."
    base = next(a.base_value for (_, of), a in found.items() if of == FORGETTING)
    rows.insert(0, ["base model", MISSING if base is None else f"{base:.3f}", "-", "-", "-", "1"])
    head = [
        "arm", "loss on general text, nats a token", "rise", "KL divergence from the base model", "rises less than under the reference by", "models"
    ]  # fmt: skip
    how = {
        a.interval.removeprefix("jackknife over ") for (_, of), a in found.items() if of == FORGETTING and a.interval
    }
    kinds = [f"Intervals are over {listed(sorted(how))}."] if how else []
    said = [name_cell(note) for note in (outcomes.notes if outcomes else []) if "general text" in note.casefold() or "language-modelling head" in note]  # fmt: skip
    return "\n\n".join([table(head, rows), *kinds, *said])


def score_difference(facts: StudyFacts, task: str, arm: str) -> ArmDifference | None:
    """The difference of an arm's score from that of the reference; None if it was not measured."""
    score, outcomes = facts.score(task, arm), facts.data.results.outcomes
    wanted = (task, arm, facts.study.reference_method, score.metric if score else None)
    return next((d for d in (outcomes.differences if outcomes else []) if (d.task, d.method, d.reference, d.outcome) == wanted), None)  # fmt: skip


def scores_lower(facts: StudyFacts, task: str, arm: str) -> bool:
    """Tells whether an arm's score is surely below that of the reference: its interval, not corrected for the number of arms, lies below zero."""
    found = score_difference(facts, task, arm)
    return found is not None and found.high is not None and found.high < 0


def _score_beside(facts: StudyFacts, task: str, arm: str) -> str:
    if arm == facts.study.reference_method:
        return "reference"
    found = score_difference(facts, task, arm)
    return MISSING if found is None else f"{found.difference:+.3f} ({_ends(found.low, found.high)})"


def _falls_less(facts: StudyFacts, task: str, arm: str) -> str:
    """By how much an arm's models lose less of retrieval than those of the reference, with the interval."""
    return _beside_reference(facts, task, arm, RETRIEVAL, sign=1)


def _rises_less(facts: StudyFacts, task: str, arm: str) -> str:
    """By how much the loss of an arm's models rises less than that of the reference's, with the interval."""
    return _beside_reference(facts, task, arm, FORGETTING, sign=-1)


def _beside_reference(facts: StudyFacts, task: str, arm: str, outcome: str, sign: int) -> str:
    if arm == facts.study.reference_method:
        return "reference"
    outcomes = facts.data.results.outcomes
    wanted = (task, arm, facts.study.reference_method, outcome)
    found = next(
        (d for d in (outcomes.differences if outcomes else []) if (d.task, d.method, d.reference, d.outcome) == wanted),
        None,
    )
    if found is None:
        return MISSING
    low, high = (found.low, found.high) if sign > 0 else (_negative(found.high), _negative(found.low))
    return f"{sign * found.difference:.3f} ({_ends(low, high)})"


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _ends(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def probes_table(facts: StudyFacts, task: str) -> str:
    """By layer, how much better a probe reads the task's classes off the tuned models than off the base model."""
    outcomes = facts.data.results.outcomes
    arms = [a for a in outcomes.arms if (a.task, a.outcome, a.step) == (task, "probe", 0)] if outcomes else []
    if not arms:
        return f"{task_title(task)} has no probes."
    by_place = {(a.method, a.layer): a for a in arms}
    rows = []
    for arm in facts.arms_on(task):
        found = [by_place.get((arm, layer)) for layer in facts.data.layers]
        rows.append(
            [
                facts.name(task, arm),
                *(MISSING if a is None or a.difference is None else _points(a) for a in found),
            ]
        )
    base = [next((a.base_value for a in arms if a.layer == layer), None) for layer in facts.data.layers]
    rows.insert(0, ["base model (accuracy)", *(percent(value, missing=MISSING) for value in base)])
    said = [name_cell(note.partition(": ")[2] or note) for note in (outcomes.notes if outcomes else []) if "A probe is" in note and (len(facts.begun) == 1 or task_title(task) in note)]  # fmt: skip
    whole = table(["points above the base model", *(f"layer {layer}" for layer in facts.data.layers)], rows)
    return "\n\n".join([whole, *said])


def _points(of: ArmOutcome) -> str:
    """A difference in points, with its interval."""
    ends = "" if of.low is None or of.high is None else f" ({100 * of.low:.1f} to {100 * of.high:.1f})"
    return signed_digits(100 * (of.difference or 0.0)) + ends


def _range(low: float | None, high: float | None) -> str:
    return MISSING if low is None or high is None else f"{low:.2f} to {high:.2f}"
