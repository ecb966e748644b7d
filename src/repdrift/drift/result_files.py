"""The files of an analysis: results, table and summary, written together, and the JSON Schema of the results."""

from __future__ import annotations

import json
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.drift.summary import summary_markdown

SCHEMA_FILE = "drift_analysis_results.schema.json"
"""Shipped beside this module."""


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
        # The stack closes in reverse order: the results take their name last, when the other files have theirs.
        paths = {
            name: stack.enter_context(atomic_path(output_dir / name))
            for name in (RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET)
        }
        for name, text in texts.items():
            with storage_errors(output_dir / name):
                paths[name].write_text(text, encoding="utf-8")
        with storage_errors(output_dir / TABLE_PARQUET):
            table.to_parquet(paths[TABLE_PARQUET], index=False)


def results_schema() -> dict[str, Any]:
    """Returns the JSON Schema of RESULTS_FILE as it follows from the record."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **DriftResults.model_json_schema()}


def shipped_schema() -> dict[str, Any]:
    """Returns the JSON Schema that the package ships; a test holds it equal to `results_schema`."""
    return json.loads((resources.files("repdrift.drift") / SCHEMA_FILE).read_text(encoding="utf-8"))
