"""Every planned model of a study, one row each: its state, scores, drift and origin."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repdrift.core.learnt_words import learnt_in_short
from repdrift.core.outcome_words import score_title
from repdrift.core.records.study_info import RunStatus
from repdrift.report.dashboard.sections import metric_names
from repdrift.report.page.contents import RunTable
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_LOSS = "train_loss"
_FINGERPRINT = 12
"""Letters of a fingerprint that are shown; the details have all."""


def run_table(data: ReportData) -> RunTable:
    """Returns the table. A number that is missing is None."""
    scores = metric_names(data)
    rows = [_row(data, run, scores) for run in data.results.runs]
    columns = {
        "task": "task",
        "arm": "method",
        "seed": "seed",
        "step": "step",
        "state": "state",
        **{f"score {name}": score_title(name) for name in scores},
        "loss": "training loss",
        "learnt": "learnt",
        "drift": "mean drift",
        "trained_steps": "trained steps",
        "samples": "samples",
        "fingerprint": "samples' fingerprint",
    }
    table = pd.DataFrame(rows, columns=list(columns)).astype(object)
    kept = [name for name in columns if name in _ALWAYS or table[name].notna().any()]
    return RunTable(table[kept], {name: columns[name] for name in kept}, [_details(run) for run in data.results.runs])


_ALWAYS = ("task", "arm", "seed", "step", "state", "learnt", "drift")


def _row(data: ReportData, run: RunStatus, scores: list[str]) -> dict[str, object]:
    return {
        "task": task_titles(data)[run.task],
        "arm": arm_titles(data)[run.method],
        "seed": run.seed,
        "step": "end" if run.step == 0 else run.step,
        "state": run.status,
        **{f"score {name}": run.metrics.get(name) for name in scores},
        "loss": run.metrics.get(_LOSS),
        "learnt": learnt_in_short(run.learnt) if run.status == "ok" and run.step == 0 else None,
        "drift": _mean_drift(data, run),
        "trained_steps": run.trained_steps,
        "samples": run.n_samples,
        "fingerprint": None if run.sample_set_fingerprint is None else run.sample_set_fingerprint[:_FINGERPRINT],
    }


def _mean_drift(data: ReportData, run: RunStatus) -> float | None:
    """Mean over layers under the primary measure; None if a layer is missing, since a mean over fewer would not be comparable."""
    table = data.table
    rows = table[
        (table["task"] == run.task)
        & (table["method"] == run.method)
        & (table["seed"] == run.seed)
        & (table["step"] == run.step)
        & (table["measure"] == data.results.study.primary_measure)
    ]
    drifts = rows["drift"].to_numpy(dtype=float)
    return float(drifts.mean()) if len(drifts) == len(data.layers) and np.isfinite(drifts).all() else None


def _details(run: RunStatus) -> dict[str, str]:
    found: dict[str, str] = {}
    if run.status != "ok":
        found["Why it is missing, and what makes it"] = run.reason or "not said"
    if run.learnt is not None:
        found["Learnt or not"] = run.learnt.sentence
    if run.sample_set_fingerprint is not None:
        found["Fingerprint of the samples"] = run.sample_set_fingerprint
    return found
