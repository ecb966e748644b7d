"""Drift by layer of a study as the page's charts take it."""

from __future__ import annotations

import pandas as pd

from repdrift.report.page.contents import DRIFT_TABLE_COLUMNS
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_NAMES = {"method": "arm", "seed_ceiling_drift": "seed_ceiling", "random_change_drift": "random_change"}
_PLACE = ["site", "measure", "layer"]


def drift_table(data: ReportData) -> pd.DataFrame:
    """Returns the rows of every site, step and measure that has a drift, with the columns of `DRIFT_TABLE_COLUMNS`.

    A drift that is missing stays in the table as NaN, so that a line breaks there. A planned model that is missing has its rows too,
    so that a mean over fewer models can be told from one over all.
    """
    parts = [part for part in (data.table, data.other_sites) if part is not None and len(part)]
    table = pd.concat(parts, ignore_index=True)
    table = table[table["measure"].isin(table.loc[table["drift"].notna(), "measure"])]
    absent = _absent(data, table)
    table = pd.concat([table, absent], ignore_index=True) if len(absent) else table.reset_index(drop=True)
    table = table.rename(columns=_NAMES)
    return table.assign(task=table["task"].map(task_titles(data)), arm=table["arm"].map(arm_titles(data)))[
        list(DRIFT_TABLE_COLUMNS)
    ]


def _absent(data: ReportData, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each planned model that is missing: at every site, measure and layer that the models of its task have, or of any task if it has none."""
    rows: list[pd.DataFrame] = []
    for run in data.absent_runs():
        of_task = table[(table["task"] == run.task) & (table["step"] == run.step)]
        places = (of_task if len(of_task) else table)[_PLACE].drop_duplicates()
        rows.append(places.assign(task=run.task, method=run.method, seed=run.seed, step=run.step))
    return pd.concat(rows, ignore_index=True) if rows else table.head(0)
