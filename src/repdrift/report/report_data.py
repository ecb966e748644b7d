"""Reading what the analysis wrote, and the aggregates that figures and page share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from repdrift.core.errors import DataError
from repdrift.core.records.results import (
    ALL_TASKS,
    DRIFT_COLUMNS,
    RESULTS_SCHEMA_VERSION,
    TABLE_CSV,
    TABLE_PARQUET,
    Control,
    DriftResults,
    HypothesisTest,
    Reduction,
    RunStatus,
)

_AGAIN = "Run `repdrift analyze` to make it anew."
_TEXT = ("task", "method", "measure")
_WHOLE = ("seed", "step", "layer")
_KEY = ["task", "method", "seed", "step", "layer", "measure"]
_COUNT = "n"
_LOGICAL = "above_noise"
_WORDS = "interval"
"""Text that may be missing."""
_REAL = tuple(c for c in DRIFT_COLUMNS if c not in (*_TEXT, *_WHOLE, _COUNT, _LOGICAL, _WORDS))


@dataclass(frozen=True)
class ReportData:
    """Results and tidy table of one analysis. What is missing is NaN in frames and None in records."""

    results: DriftResults
    table: pd.DataFrame
    table_name: str
    """The file that the table was read from."""

    @property
    def tasks(self) -> list[str]:
        """The study's tasks, in its order, with or without runs."""
        return list(self.results.study.tasks)

    @property
    def methods(self) -> list[str]:
        """The study's methods, in its order."""
        return list(self.results.study.methods)

    @cached_property
    def final(self) -> pd.DataFrame:
        """Rows of the final models (step 0), all measures."""
        return self.table[self.table["step"] == 0]

    @cached_property
    def primary(self) -> pd.DataFrame:
        """Rows of the primary measure for the final models."""
        return self.final[self.final["measure"] == self.results.study.primary_measure]

    @cached_property
    def drift_measures(self) -> list[str]:
        """The study's measures that a drift is defined for, in its order; others (of the weights, say) have a value alone."""
        known = set(self.final.loc[self.final["drift"].notna(), "measure"])
        return [measure for measure in self.results.study.measures if measure in known]

    @cached_property
    def layers(self) -> list[int]:
        """Layer numbers, ascending."""
        return sorted(int(layer) for layer in self.primary["layer"].unique())

    @cached_property
    def checkpoint_steps(self) -> list[int]:
        """Steps before the final model at which the primary measure has a drift, ascending."""
        rows = self.table[(self.table["measure"] == self.results.study.primary_measure) & self.table["drift"].notna()]
        return sorted(int(step) for step in rows["step"].unique() if step != 0)

    def drift(self, task: str, method: str, measure: str | None = None) -> pd.DataFrame:
        """Drift of one task and method, (seeds, layers), NaN where a value is missing; no row if there is no run."""
        rows = self._groups.get((task, method, measure or self.results.study.primary_measure))
        if rows is None:
            rows = self.final.iloc[:0]
        return rows.pivot(index="seed", columns="layer", values="drift").sort_index().reindex(columns=self.layers)

    @cached_property
    def _groups(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """Rows of the final models by task, method and measure: figures ask for them again and again."""
        return dict(iter(self.final.groupby(["task", "method", "measure"], sort=False)))  # pyright: ignore[reportReturnType, reportArgumentType, reportCallIssue]

    def mean_drift(self, task: str, method: str, measure: str | None = None) -> np.ndarray:
        """Mean over the seeds at hand, (layers,); NaN where no seed has a value."""
        return self.drift(task, method, measure).mean(axis=0).to_numpy(dtype=float)

    def planned(self, task: str, method: str) -> list[RunStatus]:
        """The planned final models, present or not."""
        return [r for r in self.results.runs if r.task == task and r.method == method and r.step == 0]

    def absent_runs(self) -> list[RunStatus]:
        """Every planned run, final or checkpoint, that is not there."""
        return [r for r in self.results.runs if r.status != "ok"]

    def controls(self, name: str, task: str, method: str | None = None) -> list[Control]:
        """Controls of that name for the primary measure, by layer."""
        measure = self.results.study.primary_measure
        found = [
            c
            for c in self.results.controls
            if c.name == name and c.measure == measure and c.task == task and method in (None, c.method)
        ]
        return sorted(found, key=lambda c: c.layer)

    def at_hand(self, control: str) -> bool:
        """Whether a control of that name has a drift under the primary measure on any task."""
        return any(c.drift is not None for task in self.tasks for c in self.controls(control, task))

    def control_drift(self, name: str, task: str, method: str | None = None) -> np.ndarray:
        """Drift of a control, mean over the methods that it was taken for, (layers,); NaN where it is not at hand."""
        values = pd.Series(np.nan, index=self.layers)
        by_layer: dict[int, list[float]] = {}
        for control in self.controls(name, task, method):
            if control.drift is not None:
                by_layer.setdefault(control.layer, []).append(control.drift)
        for layer, drifts in by_layer.items():
            values[layer] = float(np.mean(drifts))
        return values.reindex(self.layers).to_numpy(dtype=float)

    def compared_tasks(self) -> list[str]:
        """Tasks with a reduction, in the study's order: those with final models of both methods."""
        found = {r.task for r in self.results.reductions}
        return [task for task in self.tasks if task in found]

    def reduction(self, task: str, layer: int | None = None) -> Reduction | None:
        """The reduction of a task (or `all`) at a layer (or over all), if the analysis has one."""
        return next((r for r in self.results.reductions if r.task == task and r.layer == layer), None)

    def test(self, hypothesis: str, task: str, method: str | None = None) -> HypothesisTest | None:
        """The test of the mean over layers, if the analysis has one; `method` where the claim is of one method."""
        return next((t for t in self._tests(hypothesis, task, method) if t.layer is None), None)

    def layer_tests(self, hypothesis: str, method: str | None = None) -> list[HypothesisTest]:
        """Tests over all tasks, one a layer, by layer."""
        found = [t for t in self._tests(hypothesis, ALL_TASKS, method) if t.layer is not None]
        return sorted(found, key=lambda t: t.layer or 0)

    def _tests(self, hypothesis: str, task: str, method: str | None) -> list[HypothesisTest]:
        wanted = (hypothesis, task, method)
        return [t for t in self.results.tests if (t.hypothesis, t.task, t.method) == wanted]


def read_report_data(results_file: Path) -> ReportData:
    """Read results and, beside them, the tidy table (drift.parquet, or drift.csv where that is all there is).

    Raises DataError, which says what to do, if either is missing or malformed or the two are not of one analysis.
    """
    results = _read_results(results_file)
    table_file = next((f for n in (TABLE_PARQUET, TABLE_CSV) if (f := results_file.with_name(n)).is_file()), None)
    if table_file is None:
        raise DataError(f"neither {TABLE_PARQUET} nor {TABLE_CSV} is beside {results_file}. {_AGAIN}")
    table = _checked(_read_table(table_file), table_file)
    _require_one_analysis(results, table, results_file, table_file)
    return ReportData(results, table, table_file.name)


def _read_results(path: Path) -> DriftResults:
    if not path.is_file():
        raise DataError(
            f"no results at {path}: expected what `repdrift analyze` writes. Run that first, or name its file."
        )
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}). {_AGAIN}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != RESULTS_SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema version {version!r}, this repdrift reads {RESULTS_SCHEMA_VERSION}. {_AGAIN}"
        )
    try:
        return DriftResults.read(path)
    except DataError as error:
        raise DataError(f"{error}. {_AGAIN}") from error


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.name == TABLE_PARQUET:
            return pd.read_parquet(path)
        # Only numbers may be empty: a task that is called "NA" or "null" keeps its name.
        empty = {column: [""] for column in (*_WHOLE, _COUNT, *_REAL, _LOGICAL, _WORDS)}
        return pd.read_csv(path, keep_default_na=False, na_values=empty, dtype=dict.fromkeys((*_TEXT, _WORDS), str))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable table ({error}). {_AGAIN}") from error


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its columns in their types. Raises DataError naming the columns that are absent or of another."""
    absent = [column for column in DRIFT_COLUMNS if column not in table.columns]
    if absent:
        raise DataError(f"{path} lacks the column(s) {', '.join(absent)}. {_AGAIN}")
    if table.empty:
        raise DataError(f"{path} is empty: there is nothing to draw. {_AGAIN}")
    faults: list[str] = []
    typed = table[list(DRIFT_COLUMNS)].copy()
    kinds = (
        (_TEXT, "str"),
        (_WHOLE, "int64"),
        ((_COUNT,), "Int64"),
        (_REAL, "float64"),
        ((_LOGICAL,), "boolean"),
        ((_WORDS,), "str"),
    )
    for names, kind in kinds:
        for name in names:
            try:
                typed[name] = typed[name].astype(kind)  # pyright: ignore[reportArgumentType, reportCallIssue]
            except (ValueError, TypeError) as error:
                faults.append(f"{name} should be {kind} ({error})")
    if faults:
        raise DataError(f"{path} has columns of other types: {'; '.join(faults)}. {_AGAIN}")
    measured = typed[typed["drift"].notna()]
    infinite = [name for name in _REAL if np.isinf(measured[name]).any()]
    if infinite:
        raise DataError(f"{path} has infinite values in {', '.join(infinite)}. {_AGAIN}")
    twice = typed[typed.duplicated(_KEY)]
    if len(twice):
        first = ", ".join(f"{name} {twice.iloc[0][name]}" for name in _KEY)
        raise DataError(f"{path} has {len(twice)} row(s) twice, the first for {first}. {_AGAIN}")
    return typed


def _require_one_analysis(results: DriftResults, table: pd.DataFrame, results_file: Path, table_file: Path) -> None:
    """Raise DataError if the table holds other runs than the results speak of, or nothing to draw."""
    both = f"{results_file.name} and {table_file.name} in {results_file.parent}"
    measure = results.study.primary_measure
    primary = table[table["measure"] == measure]
    said = {(r.task, r.method, r.seed, r.step) for r in results.runs if r.status == "ok"}
    held = {
        (str(t), str(m), int(s), int(p)) for t, m, s, p in primary[_KEY[:4]].drop_duplicates().itertuples(index=False)
    }
    if said != held:
        task, method, seed, step = min(said ^ held)
        where = "the results only" if (task, method, seed, step) in said else "the table only"
        raise DataError(
            f"{both} are not of one analysis: {task}, {method}, seed {seed}, step {step} is in {where}. {_AGAIN}"
        )
    final = primary[primary["step"] == 0]
    if final["drift"].isna().all():
        raise DataError(
            f"{table_file} has no drift of a final model (step 0) under the primary measure {measure!r}: there is "
            "nothing to draw. Extract the final models, then run `repdrift analyze` again."
        )
    if final["layer"].nunique() != results.study.n_layers:
        raise DataError(
            f"{both} are not of one analysis: {results.study.n_layers} layers in the results, "
            f"{final['layer'].nunique()} in the table. {_AGAIN}"
        )
