"""Tables beside the results, which the page reads where they are there: samples, and likenesses by kind of module and layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import reading_errors
from repdrift.core.records.likeness import LIKENESS_TABLE
from repdrift.core.records.results import DriftResults
from repdrift.core.records.sample_moves import SAMPLE_COLUMNS, SAMPLES_TABLE

_AGAIN = "Run `repdrift analyze` to make it anew, or take the file away: the page then has what the results hold alone."
_LIKENESS_COLUMNS = (
    "of", "by", "group", "task", "method", "seed", "other_task", "other_method", "other_seed", "weights", "cosine", "chance", "missing",
)  # fmt: skip


def read_sample_table(results: DriftResults, results_file: Path) -> pd.DataFrame | None:
    """Reads how far every sample moved in every model and layer; None if there is no such table, or the results are not about samples.

    Raises DataError if it cannot be read, lacks a column, or is not the one that was written with the results.
    """
    if results.moved is None or results.moved.samples is None:
        return None
    return _read(results, results_file.with_name(SAMPLES_TABLE), SAMPLE_COLUMNS)


def read_likeness_table(results: DriftResults, results_file: Path) -> pd.DataFrame | None:
    """Reads the likenesses of every two models by kind of module and layer; None if there is no such table, or the results have no likeness.

    Raises DataError as `read_sample_table` does.
    """
    if results.moved is None or results.moved.likeness is None:
        return None
    return _read(results, results_file.with_name(LIKENESS_TABLE), _LIKENESS_COLUMNS)


def _read(results: DriftResults, path: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    expected = results.table_sha256.get(path.name)
    with reading_errors(path, next_step=_AGAIN):
        if expected is not None and file_sha256(path) != expected:
            raise DataError(
                f"{path} is not the table that was written with the results: it was changed since. {_AGAIN}"
            )
        try:
            table = pd.read_parquet(path)
        except ValueError as error:
            raise DataError(f"{path} is not a readable table ({error}). {_AGAIN}") from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise DataError(f"{path} lacks the column(s) {', '.join(absent)}. {_AGAIN}")
    return table
