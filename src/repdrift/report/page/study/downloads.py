"""Files that a study's page gives: results, tables at full precision, and the paragraph for the paper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from repdrift.core.csv_table import csv_text
from repdrift.core.records.results import RESULTS_FILE, TABLE_CSV
from repdrift.report.page.contents import Download, RunTable, View
from repdrift.report.report_data import ReportData

METHODS_FILE = "methods.txt"
RUNS_FILE = "runs.csv"
CURVES_FILE = "curves.csv"


_MOST_ROWS = 100_000
"""Rows of drift that a page gives as a file, in about 6 MB; a larger table lies beside the results."""


def too_large(data: ReportData) -> str:
    """Returns a sentence on the table of drift if it is too large for the page; empty if the page gives it."""
    rows = len(data.table) + (0 if data.other_sites is None else len(data.other_sites))
    if rows <= _MOST_ROWS:
        return ""
    return f"{TABLE_CSV}: it has {rows:,} rows, and lies beside {RESULTS_FILE}"


def downloads(
    data: ReportData, runs: RunTable, drift: pd.DataFrame, views: Sequence[View], methods: str
) -> list[Download]:
    """Returns the files. drift: the rows of the main chart, which `drift.csv` has already. Texts in csv files are escaped, so that no spreadsheet program runs them."""
    found = [
        *([] if too_large(data) else [Download(TABLE_CSV, "Drift, every row", lambda: _csv(_whole_table(data)))]),
        Download(RESULTS_FILE, "Results", lambda: data.results.file_text().encode()),
        Download(METHODS_FILE, "Methods paragraph", f"{methods}\n".encode),
        Download(RUNS_FILE, "Models", partial(_csv, runs.rows.rename(columns=dict(runs.columns)))),
    ]
    if runs.curves is not None:
        found.append(Download(CURVES_FILE, "Loss and scores along the way", partial(_csv, _named_curves(runs))))
    written = [drift]
    for view in views:
        if len(view.rows) and not any(table.equals(view.rows) for table in written):
            written.append(view.rows)
            found.append(Download(f"{view.name}.csv", view.title, partial(_csv, view.rows)))
    return found


def _whole_table(data: ReportData) -> pd.DataFrame:
    parts = [part for part in (data.table, data.other_sites) if part is not None and len(part)]
    return pd.concat(parts, ignore_index=True)


def _named_curves(runs: RunTable) -> pd.DataFrame:
    """The curves with the names of their runs in place of their positions."""
    curves = runs.curves if runs.curves is not None else pd.DataFrame(columns=["row"])
    names = runs.rows[["task", "arm", "seed"]].iloc[curves["row"].to_numpy(dtype=int)].reset_index(drop=True)
    return pd.concat([names, curves.drop(columns="row").reset_index(drop=True)], axis=1)


def _csv(table: pd.DataFrame) -> bytes:
    return csv_text(table).encode()
