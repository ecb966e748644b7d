"""Drift by layer of a study as the page's charts take it."""

from __future__ import annotations

import pandas as pd

from repdrift.core.words import method_title, task_title
from repdrift.report.page.contents import DRIFT_TABLE_COLUMNS
from repdrift.report.report_data import ReportData

_NAMES = {"method": "arm", "seed_ceiling_drift": "seed_ceiling", "random_change_drift": "random_change"}


def drift_table(data: ReportData) -> pd.DataFrame:
    """Returns every row that has a drift, of all sites, with the columns of `DRIFT_TABLE_COLUMNS`."""
    parts = [part for part in (data.table, data.other_sites) if part is not None and len(part)]
    table = pd.concat(parts, ignore_index=True).rename(columns=_NAMES)
    table = table[table["drift"].notna()]
    return table.assign(task=table["task"].map(task_title), arm=table["arm"].map(method_title))[
        list(DRIFT_TABLE_COLUMNS)
    ]
