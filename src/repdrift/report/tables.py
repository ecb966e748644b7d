"""Reading what the analysis wrote, and the few aggregates that figures and page share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from repdrift.core.errors import DataError
from repdrift.core.records.results import (
    DRIFT_COLUMNS,
    RESULTS_SCHEMA_VERSION,
    TABLE_PARQUET,
    Control,
    DriftResults,
    HypothesisTest,
)


@dataclass(frozen=True)
class ReportData:
    """Results and tidy table of one analysis."""

    results: DriftResults
    table: pd.DataFrame

    @property
    def primary(self) -> pd.DataFrame:
        """Rows of the primary measure for the final models."""
        study = self.results.study
        return self.table[(self.table["measure"] == study.primary_measure) & (self.table["step"] == 0)]

    @property
    def tasks(self) -> list[str]:
        """Tasks with at least one run, in the study's order."""
        present = set(self.primary["task"])
        return [task for task in self.results.study.tasks if task in present]

    @property
    def methods(self) -> list[str]:
        """The study's methods, in its order."""
        return list(self.results.study.methods)

    @property
    def layers(self) -> list[int]:
        """Layer numbers, ascending."""
        return sorted(int(layer) for layer in self.primary["layer"].unique())

    def drift(self, task: str, method: str) -> pd.DataFrame:
        """Drift of one task and method: a row a seed, a column a layer; empty if there is no run."""
        rows = self.primary[(self.primary["task"] == task) & (self.primary["method"] == method)]
        return rows.pivot_table(index="seed", columns="layer", values="drift", sort=True)

    def controls(self, name: str, task: str | None = None, method: str | None = None) -> list[Control]:
        """Controls of that name for the primary measure, by layer."""
        measure = self.results.study.primary_measure
        found = [
            c
            for c in self.results.controls
            if c.name == name and c.measure == measure and task in (None, c.task) and method in (None, c.method)
        ]
        return sorted(found, key=lambda c: c.layer)

    def tests(self, hypothesis: str, *, by_layer: bool) -> list[HypothesisTest]:
        """Tests of one hypothesis: by layer over all tasks, or by task and over all."""
        return [t for t in self.results.tests if t.hypothesis == hypothesis and (t.layer is not None) == by_layer]


def read_report_data(results_file: Path) -> ReportData:
    """Read results and, beside them, the tidy table. Raises DataError that says what to do if anything is wrong."""
    again = "Run `repdrift analyze` to make it."
    if not results_file.is_file():
        raise DataError(f"no results at {results_file}. {again}")
    try:
        version = json.loads(results_file.read_bytes()).get("schema_version")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{results_file} is not valid JSON ({error}). {again}") from error
    if version != RESULTS_SCHEMA_VERSION:
        raise DataError(
            f"{results_file} has schema version {version!r}, this repdrift reads {RESULTS_SCHEMA_VERSION}. {again}"
        )
    results = DriftResults.read(results_file)
    table_file = results_file.with_name(TABLE_PARQUET)
    if not table_file.is_file():
        raise DataError(f"the table {table_file} is not beside {results_file.name}. {again}")
    try:
        table = pd.read_parquet(table_file)
    except (OSError, ValueError) as error:
        raise DataError(f"{table_file} is not a readable parquet file ({error}). {again}") from error
    absent = [column for column in DRIFT_COLUMNS if column not in table.columns]
    if absent:
        raise DataError(f"{table_file} lacks the column(s) {', '.join(absent)}. {again}")
    if table.empty:
        raise DataError(f"{table_file} is empty: there is nothing to draw. {again}")
    return ReportData(results, table)
