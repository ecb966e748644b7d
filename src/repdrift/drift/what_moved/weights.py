"""The section of a study on the weights: how every matrix of every trained model changed, and methods against each other."""

from __future__ import annotations

from repdrift.core.errors import MissingRunError
from repdrift.core.records.weights import RunWeightsMoved, StudyWeightsMoved
from repdrift.core.weight_groups import kind_groups, layer_groups, whole_group
from repdrift.core.words import counted
from repdrift.drift.run_weights import run_weights
from repdrift.drift.weight_contrasts import cells, contrasts, over_seeds
from repdrift.drift.what_moved import StudyFound, StudyInputs, StudySection, register
from repdrift.weights import WEIGHTS_TABLE, moved_rows, moved_table

_RUN = ("task", "method", "seed", "step")


def measure(inputs: StudyInputs) -> StudyFound:
    """Measures every trained model whose weights are here, or takes what an earlier analysis measured.

    Raises MissingRunError if there is none, ModelError if the base model cannot be read.
    """
    options = inputs.plan.weights
    weights = run_weights(inputs.plan, inputs.tasks, inputs.statuses, options)
    if not weights.found:
        reasons = dict.fromkeys(weights.left_out.values())
        raise MissingRunError(f"no trained model could be measured: {'; '.join(reasons) or 'there is none'}")
    runs = [
        RunWeightsMoved(
            task=plan.task,
            method=plan.method,
            seed=plan.seed,
            step=plan.step,
            whole=whole_group(found.weights),
            kinds=kind_groups(found.weights),
            layers=layer_groups(found.weights),
            not_compared=found.not_compared,
            notes=list(dict.fromkeys([*found.notes, *(at.note for at in found.weights if at.note is not None)])),
        )
        for plan, found in weights.found
    ]
    record = StudyWeightsMoved(
        leading=options.leading,
        intruder_cosine=options.intruder_cosine,
        confidence=inputs.plan.sampling.confidence,
        runs=runs,
        over_seeds=over_seeds(runs),
        cells=cells(weights.found),
        contrasts=contrasts(runs, weights.found, inputs.plan),
        left_out=weights.left_out,
        notes=_notes(inputs),
    )
    rows = [
        row for plan, found in weights.found for row in moved_rows({name: getattr(plan, name) for name in _RUN}, found)
    ]
    return StudyFound(record, {WEIGHTS_TABLE: moved_table(rows, _RUN)})


def _notes(inputs: StudyInputs) -> list[str]:
    judged = [status.learnt for status in inputs.statuses if status.step == 0 and status.learnt is not None]
    not_learnt = sum(1 for learnt in judged if learnt.learnt is False)
    if not not_learnt:
        return []
    return [
        f"{counted(not_learnt, 'final model')} did not learn the task; the changes of their weights are among these numbers all the same."
    ]


register(StudySection("weights", 10, (WEIGHTS_TABLE,), measure))
