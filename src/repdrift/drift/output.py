"""The four files of an analysis, written together: none takes its name before all of them are on the disk."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.drift.summary import summary_markdown


def write_analysis(results: DriftResults, table: pd.DataFrame, output_dir: Path) -> None:
    """Write RESULTS_FILE, TABLE_PARQUET, TABLE_CSV and SUMMARY_FILE to `output_dir`.

    Raises StorageError if one of them cannot be written; the files of an earlier analysis are then still as they were.
    """
    texts = {
        RESULTS_FILE: results.model_dump_json(indent=2) + "\n",
        SUMMARY_FILE: summary_markdown(results, table),
        TABLE_CSV: table.to_csv(index=False),
    }
    with ExitStack() as stack:
        # Left in reverse order: the results take their name last, so that who finds them finds the others.
        paths = {
            name: stack.enter_context(atomic_path(output_dir / name))
            for name in (RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET)
        }
        for name, text in texts.items():
            with storage_errors(output_dir / name):
                paths[name].write_text(text, encoding="utf-8")
        with storage_errors(output_dir / TABLE_PARQUET):
            table.to_parquet(paths[TABLE_PARQUET], index=False)
