"""Files that the page gives are those of the study: the results byte by byte, and tables with all digits."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from repdrift.core.records.results import RESULTS_FILE
from repdrift.report.report_data import ReportData
from tests.browser.opened_page import OpenedPage

_KEY = ["task", "method", "seed", "step", "layer", "measure"]


@pytest.fixture
def given(shown: OpenedPage) -> dict[str, bytes]:
    """Every file that a button of the page gives, by its name."""
    found = {}
    buttons = shown.page.locator("button[data-download]")
    for place in range(buttons.count()):
        with shown.page.expect_download() as download:
            buttons.nth(place).click()
        found[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
        shown.page.wait_for_timeout(150)  # Chromium drops the eleventh file that a page gives within a second
    return found


def test_files_are_those_of_the_study(given: dict[str, bytes], shown: OpenedPage, data: ReportData):
    assert given[RESULTS_FILE] == shown.path.with_name(RESULTS_FILE).read_bytes()
    table = pd.read_csv(io.BytesIO(given["drift.csv"]))
    both = data.table.merge(table, on=_KEY, suffixes=("", "_given"), validate="one_to_one")
    assert len(both) == len(data.table) == len(table)
    for column in ("drift", "drift_low", "drift_high", "noise_floor", "seed_ceiling_drift"):
        assert both[column].equals(both[f"{column}_given"]), column
    assert len(pd.read_csv(io.BytesIO(given["runs.csv"]))) == len(data.results.runs)
    assert all(given.values())
