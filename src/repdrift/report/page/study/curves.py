"""Loss and scores along the way, for the rows of the run table."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from repdrift.core.outcome_words import score_title
from repdrift.core.records.study_info import RunStatus
from repdrift.report.report_data import ReportData

LOSS = "training loss"
_COLUMNS = ["row", "step", "name", "value"]
_LOSS_NAMES = {"loss", "train_loss"}


def curves(data: ReportData) -> pd.DataFrame | None:
    """Returns a point a row: `row` (position in the run table), `step`, `name` and `value`; None where nothing was kept.

    Losses come from the histories of the runs; scores from there too, and else from the checkpoints that were analysed.
    """
    trained = {(run.task, run.method, run.seed): run for run in data.results.trained}
    points: list[tuple[int, int, str, float | None]] = []
    for position, run in enumerate(data.results.runs):
        if run.step:
            continue
        history = trained.get((run.task, run.method, run.seed))
        names = set()
        for curve in history.curves if history is not None else []:
            names.add(curve.name)
            points += [
                (position, step, _title(curve.name), value)
                for step, value in zip(curve.steps, curve.values, strict=True)
            ]
        points += [
            (position, step, score_title(name), value)
            for step, name, value in _of_checkpoints(data, run)
            if name not in names
        ]
    return pd.DataFrame(points, columns=_COLUMNS) if points else None


def _title(name: str) -> str:
    return LOSS if name in _LOSS_NAMES else score_title(name)


def _of_checkpoints(data: ReportData, run: RunStatus) -> Iterator[tuple[int, str, float]]:
    """The scores of a run's checkpoints, and of its final model where it is known after which step that was."""
    same = [r for r in data.results.runs if (r.task, r.method, r.seed) == (run.task, run.method, run.seed)]
    steps = [(r.step or r.trained_steps, r) for r in same]
    if len([step for step, _ in steps if step]) < 2:
        return
    for step, each in sorted(((step, r) for step, r in steps if step), key=lambda pair: pair[0]):
        for name, value in each.metrics.items():
            if name not in _LOSS_NAMES and value is not None:
                yield step, name, value
