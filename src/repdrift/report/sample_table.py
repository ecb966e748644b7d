"""The table of samples beside the results: how far every sample moved in every model and layer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import reading_errors
from repdrift.core.records.results import DriftResults
from repdrift.core.records.sample_moves import SAMPLE_COLUMNS, SAMPLES_TABLE

_AGAIN = (
    "Run `repdrift analyze` to make it anew, or take the file away: the page then has the samples of the results alone."
)


def read_sample_table(results: DriftResults, results_file: Path) -> pd.DataFrame | None:
    """Read the table beside the results; None if there is none, or if the results are not about samples.

    Raises DataError if it cannot be read, lacks a column, or is not the one that was written with the results.
    """
    path = results_file.with_name(SAMPLES_TABLE)
    if results.moved is None or results.moved.samples is None or not path.is_file():
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
    absent = [column for column in SAMPLE_COLUMNS if column not in table.columns]
    if absent:
        raise DataError(f"{path} lacks the column(s) {', '.join(absent)}. {_AGAIN}")
    return table
