"""Tables as csv files, whose cells no spreadsheet program runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from repdrift.core.hidden_secrets import environment_read_once
from repdrift.core.shown_text import for_spreadsheet, from_spreadsheet

if TYPE_CHECKING:
    import pandas as pd


@environment_read_once()
def csv_text(table: pd.DataFrame) -> str:
    """Returns the table as csv (UTF-8, with a header). Texts are escaped; numbers, booleans and empty cells stay as they are."""
    return _changed(table, for_spreadsheet).to_csv(index=False)


def texts_read_back(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table that was read from such a file with the texts that it had before."""
    return _changed(table, from_spreadsheet)


def _changed(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    return table.assign(
        **{
            str(name): table[name].map(lambda cell: change(cell) if isinstance(cell, str) else cell)
            for name in table.columns
            if any(isinstance(cell, str) for cell in table[name])
        }
    )
