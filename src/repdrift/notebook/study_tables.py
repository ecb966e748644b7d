"""Tables of a study as data frames: those of the files beside the results, and those that are made of the results."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from repdrift.core.learnt_words import learnt_in_short
from repdrift.core.records.results import DriftResults

_RUN_COLUMNS = ("task", "method", "seed", "step", "status", "reason", "n_samples", "trained_steps", "learnt")
_REDUCTION_COLUMNS = (
    "comparison", "task", "site", "layer", "measure", "reduction", "reduction_low", "reference_drift", "comparison_drift",
)  # fmt: skip
_TEST_COLUMNS = (
    "hypothesis", "task", "site", "layer", "method", "comparison", "measure", "estimate", "pvalue", "deciding_pvalue", "correction",
    "smallest_deciding_pvalue", "verdict", "sentence",
)  # fmt: skip
_ENDS = tuple(f"{over}_{end}" for over in ("models", "samples", "models_and_samples") for end in ("low", "high"))
"""Ends of the intervals of a reduction, by what another study would draw anew."""


def _runs(results: DriftResults) -> pd.DataFrame:
    """One row for each planned run, with a column for each metric."""
    rows = [
        {**run.model_dump(include=set(_RUN_COLUMNS)), "learnt": learnt_in_short(run.learnt), **run.metrics}
        for run in results.runs
    ]
    metrics = dict.fromkeys(name for run in results.runs for name in run.metrics)
    return pd.DataFrame(rows, columns=[*_RUN_COLUMNS, *metrics])


def _reductions(results: DriftResults) -> pd.DataFrame:
    """One row for each contrast, task, site and layer; a layer of <NA> is the mean over layers."""
    rows = [
        {
            **found.model_dump(include=set(_REDUCTION_COLUMNS)),
            **{
                f"{interval.over.replace(' ', '_')}_{end}": getattr(interval, end)
                for interval in found.intervals
                for end in ("low", "high")
            },
        }
        for found in results.reductions
    ]
    return pd.DataFrame(rows, columns=[*_REDUCTION_COLUMNS, *_ENDS]).astype({"layer": "Int64"})


def _tests(results: DriftResults) -> pd.DataFrame:
    """One row for each claim; a layer of <NA> is the mean over layers."""
    rows = [test.model_dump(include=set(_TEST_COLUMNS)) for test in results.tests]
    return pd.DataFrame(rows, columns=list(_TEST_COLUMNS)).astype({"layer": "Int64"})


RECORD_TABLES: dict[str, Callable[[DriftResults], pd.DataFrame]] = {
    "runs": _runs,
    "reductions": _reductions,
    "tests": _tests,
}
"""Tables that are made of the results, by name."""
