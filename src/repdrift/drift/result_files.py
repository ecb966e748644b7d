"""The files of an analysis: results, table and summary, written together, and the JSON Schema of the results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from repdrift.core.atomic import storage_errors, write_together
from repdrift.core.csv_table import csv_text
from repdrift.core.errors import DataError
from repdrift.core.parquet_table import parquet_bytes
from repdrift.core.records.base import CHECKSUM_KEY
from repdrift.core.records.outcomes import OUTCOME_ITEMS_PARQUET, OUTCOMES_CSV, OUTCOMES_PARQUET
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.drift.measured_outcomes import OutcomeTables
from repdrift.drift.summary import summary_markdown
from repdrift.drift.what_moved import registered_sections

SCHEMA_FILE = "drift_analysis_results.schema.json"
"""Shipped beside this module."""


def write_analysis(
    results: DriftResults,
    table: pd.DataFrame,
    output_dir: Path,
    *,
    outcomes: OutcomeTables | None = None,
    sections: Mapping[str, pd.DataFrame] | None = None,
) -> DriftResults:
    """Write RESULTS_FILE, TABLE_PARQUET, TABLE_CSV and SUMMARY_FILE to `output_dir`; returns the results as written.

    outcomes: their tables are written beside these; without outcomes, those of an earlier analysis are removed. sections: tables of the
    sections on what moved, by file name, treated alike. The results hold the checksums
    of the tables' files. Raises StorageError if one of them cannot be written; the files of
    an earlier analysis are then still as they were.
    """
    tables = {TABLE_CSV: csv_text(table).encode(), TABLE_PARQUET: parquet_bytes(table)}
    if outcomes is not None:
        tables[OUTCOMES_CSV] = csv_text(outcomes.table).encode()
        tables[OUTCOMES_PARQUET] = parquet_bytes(outcomes.table)
        tables[OUTCOME_ITEMS_PARQUET] = parquet_bytes(outcomes.items)
    for name, of_section in (sections or {}).items():
        tables[name] = parquet_bytes(of_section) if name.endswith(".parquet") else csv_text(of_section).encode()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in tables.items()}
    written = results.model_copy(update={"table_sha256": digests})
    files = {
        RESULTS_FILE: written.file_text().encode(),
        SUMMARY_FILE: summary_markdown(results, table).encode(),
        **tables,
    }
    earlier = _earlier_tables(output_dir)
    write_together(output_dir, files)
    for name in earlier - files.keys():
        with storage_errors(output_dir / name):
            (output_dir / name).unlink(missing_ok=True)
    return written


def _earlier_tables(output_dir: Path) -> set[str]:
    """Returns the names of tables of outcomes and sections in `output_dir` that an earlier analysis wrote there; other files of these names are not ours."""
    names = {OUTCOMES_CSV, OUTCOMES_PARQUET, OUTCOME_ITEMS_PARQUET}
    names |= {name for section in registered_sections() for name in section.table_files}
    try:
        return names & DriftResults.read(output_dir / RESULTS_FILE).table_sha256.keys()
    except DataError:
        return set()


def results_schema() -> dict[str, Any]:
    """Returns the JSON Schema of RESULTS_FILE as it follows from the record."""
    schema = DriftResults.model_json_schema()
    schema["properties"][CHECKSUM_KEY] = {"title": "SHA-256 of all other entries", "type": "string"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def shipped_schema() -> dict[str, Any]:
    """Returns the JSON Schema that the package ships; a test holds it equal to `results_schema`."""
    return json.loads((resources.files("repdrift.drift") / SCHEMA_FILE).read_text(encoding="utf-8"))
