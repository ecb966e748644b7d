"""Rows of the tidy table by site: where in the block a row was read. What is about layers is about the residual stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.core.records.sites import RESID_POST

if TYPE_CHECKING:
    import pandas as pd

SITE_COLUMN = "site"


def with_site_column(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with the column `site` after `step`; rows without a site, as in tables of older versions, are of `resid_post`."""
    if SITE_COLUMN in table.columns:
        named = table[SITE_COLUMN].notna() & (table[SITE_COLUMN] != "")  # an empty cell of a csv file
        return table.assign(**{SITE_COLUMN: table[SITE_COLUMN].where(named, RESID_POST)})
    completed = table.assign(**{SITE_COLUMN: RESID_POST})
    before = [name for name in table.columns if name != SITE_COLUMN]
    at = before.index("step") + 1 if "step" in before else len(before)
    return completed[[*before[:at], SITE_COLUMN, *before[at:]]]


def residual_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the residual stream: those that every statement about layers is about. Without the column `site`, all rows."""
    if SITE_COLUMN not in table.columns:
        return table
    here = table[SITE_COLUMN].isna() | (table[SITE_COLUMN] == RESID_POST)
    return table if bool(here.all()) else table[here]


def rows_of_other_sites(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of sites other than the residual stream; none without the column `site`."""
    if SITE_COLUMN not in table.columns:
        return table.iloc[:0]
    return table[table[SITE_COLUMN].notna() & (table[SITE_COLUMN] != RESID_POST)]
