"""Drift by layer of a study as the page's charts take it."""

from __future__ import annotations

import pandas as pd

from repdrift.report.page.contents import DRIFT_TABLE_COLUMNS
from repdrift.report.page.study.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_NAMES = {"method": "arm", "seed_ceiling_drift": "seed_ceiling", "random_change_drift": "random_change"}


def drift_table(data: ReportData) -> pd.DataFrame:
    """Returns the rows of every site, step and measure that has a drift, with the columns of `DRIFT_TABLE_COLUMNS`.

    A drift that is missing stays in the table as NaN, so that a line breaks there.
    """
    parts = [part for part in (data.table, data.other_sites) if part is not None and len(part)]
    table = pd.concat(parts, ignore_index=True).rename(columns=_NAMES)
    measured = table.loc[table["drift"].notna(), "measure"].unique()
    table = table[table["measure"].isin(measured)]
    return table.assign(task=table["task"].map(task_titles(data)), arm=table["arm"].map(arm_titles(data)))[
        list(DRIFT_TABLE_COLUMNS)
    ]
