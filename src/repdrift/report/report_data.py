"""The results of an analysis as figures and page use them: read from the files, with shared means and selections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from repdrift.core.csv_table import texts_read_back
from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.records.claims import Correction, HypothesisTest, Reduction
from repdrift.core.records.results import (
    ALL_TASKS,
    DRIFT_COLUMNS,
    RESULTS_SCHEMA_VERSION,
    TABLE_CSV,
    TABLE_PARQUET,
    DriftResults,
)
from repdrift.core.records.study_info import Control, RunStatus
from repdrift.core.shared_paths import shareable
from repdrift.core.site_rows import SITE_COLUMN, residual_rows, rows_of_other_sites, with_site_column
from repdrift.report.beside_table import read_likeness_table, read_sample_table

_AGAIN = "Run `repdrift analyze` to make it anew."
_TEXT = ("task", "method", "site", "measure")
_WHOLE = ("seed", "step", "layer")
_KEY = ["task", "method", "seed", "step", "site", "layer", "measure"]
_RUN = ["task", "method", "seed", "step"]
_COUNT = "n"
_LOGICAL = "above_noise"
_WORDS = "interval"
"""Columns of text that may be missing."""
_REAL = tuple(c for c in DRIFT_COLUMNS if c not in (*_TEXT, *_WHOLE, _COUNT, _LOGICAL, _WORDS))


@dataclass(frozen=True)
class ReportData:
    """Results and tidy table of one analysis. What is missing is NaN in frames and None in records."""

    results: DriftResults
    table: pd.DataFrame
    """Rows of the residual stream, which every figure by layer is about."""
    table_name: str
    """Name of the file that the table was read from."""
    other_sites: pd.DataFrame | None = None
    """Rows of other sites inside the block; None or empty if there are none."""
    samples: pd.DataFrame | None = None
    """How far every sample moved in every model and layer, in `SAMPLE_COLUMNS`; None where no such table lies beside the results."""
    likeness: pd.DataFrame | None = None
    """Likenesses of every two models by kind of module and layer; None where no such table lies beside the results."""

    @property
    def tasks(self) -> list[str]:
        """The study's tasks in its order, also those without runs."""
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
        """The study's measures for which a drift is defined, in its order. Others, such as those of the weights, have only a value."""
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
        """Drift of one task and method, (seeds, layers); NaN for a missing value. Without a run there is no row."""
        rows = self._groups.get((task, method, measure or self.results.study.primary_measure))
        if rows is None:
            rows = self.final.iloc[:0]
        return rows.pivot(index="seed", columns="layer", values="drift").sort_index().reindex(columns=self.layers)

    @cached_property
    def _groups(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """Rows of the final models by task, method and measure, grouped once because figures ask for them often."""
        return dict(iter(self.final.groupby(["task", "method", "measure"], sort=False)))  # pyright: ignore[reportReturnType, reportArgumentType, reportCallIssue]

    def mean_drift(self, task: str, method: str, measure: str | None = None) -> np.ndarray:
        """Mean drift over the seeds that are there, (layers,); NaN if no seed has a value."""
        return self.drift(task, method, measure).mean(axis=0).to_numpy(dtype=float)

    @cached_property
    def contrasts(self) -> list[ReportData]:
        """The data once for each method that is compared with the reference, as results of these two methods.

        With one such method, or none, these data are the only ones.
        """
        if len(self.results.study.contrasted) < 2:
            return [self]
        return [replace(self, results=results) for results in self.results.contrasts()]

    @property
    def several_arms(self) -> bool:
        """True if more than one method is compared with the reference."""
        return len(self.contrasts) > 1

    def planned(self, task: str, method: str) -> list[RunStatus]:
        """The planned final models of a task and method, also those that are missing."""
        return [r for r in self.results.runs if r.task == task and r.method == method and r.step == 0]

    def absent_runs(self) -> list[RunStatus]:
        """Every planned final model or checkpoint that is missing."""
        return [r for r in self.results.runs if r.status != "ok"]

    def controls(self, name: str, task: str, method: str | None = None) -> list[Control]:
        """The controls of one name under the primary measure, sorted by layer."""
        measure = self.results.study.primary_measure
        found = [
            c
            for c in self.results.controls
            if c.name == name and c.measure == measure and c.task == task and method in (None, c.method)
        ]
        return sorted(found, key=lambda c: c.layer)

    def at_hand(self, control: str) -> bool:
        """Returns whether a control of this name has a drift under the primary measure on any task."""
        return any(c.drift is not None for task in self.tasks for c in self.controls(control, task))

    def control_drift(self, name: str, task: str, method: str | None = None) -> np.ndarray:
        """Drift of a control, mean over the methods for which it was measured, (layers,); NaN if it was not measured."""
        values = pd.Series(np.nan, index=self.layers)
        by_layer: dict[int, list[float]] = {}
        for control in self.controls(name, task, method):
            if control.drift is not None:
                by_layer.setdefault(control.layer, []).append(control.drift)
        for layer, drifts in by_layer.items():
            values[layer] = float(np.mean(drifts))
        return values.reindex(self.layers).to_numpy(dtype=float)

    def compared_tasks(self) -> list[str]:
        """Tasks with final models of the reference and of another method, and so with a reduction, in the study's order."""
        found = {r.task for r in self.results.reductions}
        return [task for task in self.tasks if task in found]

    def reduction(self, task: str, layer: int | None = None) -> Reduction | None:
        """The reduction of a task or of `all`, at one layer or over all layers (None); None if the analysis has none."""
        return next((r for r in self.results.reductions if r.task == task and r.layer == layer), None)

    def test(self, hypothesis: str, task: str, method: str | None = None) -> HypothesisTest | None:
        """The test of the mean over layers; None if the analysis has none. method: for claims about one method."""
        return next((t for t in self._tests(hypothesis, task, method) if t.layer is None), None)

    def layer_tests(self, hypothesis: str, method: str | None = None) -> list[HypothesisTest]:
        """The tests over all tasks at single layers, sorted by layer."""
        found = [t for t in self._tests(hypothesis, ALL_TASKS, method) if t.layer is not None]
        return sorted(found, key=lambda t: t.layer or 0)

    def _tests(self, hypothesis: str, task: str, method: str | None) -> list[HypothesisTest]:
        wanted = (hypothesis, task, method)
        return [t for t in self.results.tests if (t.hypothesis, t.task, t.method) == wanted]


def smallest_deciding_pvalue(tests: Sequence[HypothesisTest]) -> float | None:
    """The smallest value that a deciding p-value of the family could have taken; None if the results do not say."""
    return min((t.smallest_deciding_pvalue for t in tests if t.smallest_deciding_pvalue is not None), default=None)


def layers_with(tests: Sequence[HypothesisTest], verdict: str) -> list[int]:
    """Layers of the tests that have this verdict, ascending."""
    return sorted(test.layer for test in tests if test.layer is not None and test.verdict == verdict)


def read_report_data(results_file: Path) -> ReportData:
    """Read the results and the tidy table beside them (drift.parquet, or drift.csv if there is no other).

    Figures and page are for sharing, so absolute paths in the results are shortened.

    Raises DataError if one of the two is missing or malformed, or if they are not of one analysis.
    """
    results = _read_results(results_file)
    table_file = next((f for n in (TABLE_PARQUET, TABLE_CSV) if (f := results_file.with_name(n)).is_file()), None)
    if table_file is None:
        raise DataError(f"neither {TABLE_PARQUET} nor {TABLE_CSV} is beside {results_file}. {_AGAIN}")
    _require_table_of(results, table_file)
    table = _checked(_read_table(table_file), table_file)
    residual = residual_rows(table)
    _require_one_analysis(results, residual, results_file, table_file)
    return ReportData(
        shareable(results), residual, table_file.name, rows_of_other_sites(table), read_sample_table(results, results_file),
        read_likeness_table(results, results_file),
    )  # fmt: skip


def _read_results(path: Path) -> DriftResults:
    try:
        with reading_errors(path):
            if not path.is_file():
                found = "is a folder" if path.is_dir() else why_absent(path)
                raise DataError(
                    f"no results at {path}: it {found}; expected what `repdrift analyze` writes. Run that first, or name its file."
                )
            content = json.loads(path.read_bytes())
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}). {_AGAIN}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != RESULTS_SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema version {version!r}, this repdrift reads {RESULTS_SCHEMA_VERSION}. {_AGAIN}"
        )
    try:
        results = DriftResults.read(path)
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}. {_AGAIN}") from error
    return results.model_copy(update={"tests": [_with_correction(test) for test in results.tests]})


def _require_table_of(results: DriftResults, table_file: Path) -> None:
    """Raises DataError if the table's file is not the one that was written with the results."""
    expected = results.table_sha256.get(table_file.name)
    if expected is None:
        return  # results of an older version
    with reading_errors(table_file, next_step=_AGAIN):
        actual = file_sha256(table_file)
    if actual != expected:
        raise DataError(
            f"{table_file} is not the table that was written with the results: SHA-256 {actual[:12]}..., expected "
            f"{expected[:12]}... It was changed or damaged since. {_AGAIN}"
        )


def _with_correction(test: HypothesisTest) -> HypothesisTest:
    """Fills in the deciding p-value of a test by layer, in results that are older than this field.

    Their verdicts rest on max-T where there is one, else on Holm. Such results do not say the smallest p after correction.
    """
    if test.deciding_pvalue is not None:
        return test
    by_name: dict[Correction, float | None] = {"max-T": test.pvalue_max_t, "Holm": test.pvalue_holm}
    for correction, corrected in by_name.items():
        if corrected is not None:
            return test.model_copy(update={"correction": correction, "deciding_pvalue": corrected})
    return test


def _read_table(path: Path) -> pd.DataFrame:
    try:
        if path.name == TABLE_PARQUET:
            return pd.read_parquet(path, page_checksum_verification=True)
        # Only numbers may be empty, so that a task called "NA" or "null" keeps its name.
        empty = {column: [""] for column in (*_WHOLE, _COUNT, *_REAL, _LOGICAL, _WORDS)}
        return texts_read_back(
            pd.read_csv(path, keep_default_na=False, na_values=empty, dtype=dict.fromkeys((*_TEXT, _WORDS), str))
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable table ({error}). {_AGAIN}") from error


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Returns the table with every column in its type. Raises DataError that names columns which are missing or of another type."""
    absent = [column for column in DRIFT_COLUMNS if column not in (SITE_COLUMN, *table.columns)]
    if absent:
        raise DataError(f"{path} lacks the column(s) {', '.join(absent)}. {_AGAIN}")
    if table.empty:
        raise DataError(f"{path} is empty: there is nothing to draw. {_AGAIN}")
    faults: list[str] = []
    typed = with_site_column(table)[list(DRIFT_COLUMNS)].copy()  # tables of older versions have no sites
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
    """Raises DataError if the table holds other runs than the results, or nothing to draw."""
    both = f"{results_file.name} and {table_file.name} in {results_file.parent}"
    measure = results.study.primary_measure
    primary = table[table["measure"] == measure]
    said = {(r.task, r.method, r.seed, r.step) for r in results.runs if r.status == "ok"}
    held = {(str(t), str(m), int(s), int(p)) for t, m, s, p in primary[_RUN].drop_duplicates().itertuples(index=False)}
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
