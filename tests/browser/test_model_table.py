"""The table of models is sorted by its headings, searched, and unfolds; the page's address keeps all of it."""

from __future__ import annotations

from repdrift.report.report_data import ReportData
from tests.browser.opened_page import OpenedPage

TABLE = "models"


def press(shown: OpenedPage, heading: str) -> str | None:
    """Clicks a heading of the table; returns the order that it then says."""
    head = shown.page.locator(f'[data-table="{TABLE}"] thead th:has(button:text-is("{heading}"))')
    head.locator("button").click()
    return head.get_attribute("aria-sort")


def test_every_run_is_a_row(shown: OpenedPage, data: ReportData):
    rows = shown.table(TABLE)
    assert len(rows) == len(data.results.runs)
    assert sum(row["state"] == "missing" for row in rows) == sum(run.status == "missing" for run in data.results.runs)


def test_a_heading_sorts_up_then_down_then_not(shown: OpenedPage):
    before = shown.table(TABLE)

    def drifts() -> list[float]:
        return [float(row["mean drift"]) for row in shown.table(TABLE) if row["mean drift"] != "none"]

    assert drifts() != sorted(drifts())
    assert press(shown, "mean drift") == "ascending"
    assert drifts() == sorted(drifts())
    assert press(shown, "mean drift") == "descending"
    assert drifts() == sorted(drifts(), reverse=True)
    assert shown.table(TABLE)[-1]["mean drift"] == "none"
    assert press(shown, "mean drift") is None
    assert shown.table(TABLE) == before


def test_a_search_leaves_the_rows_that_hold_its_words(shown: OpenedPage):
    every = shown.table(TABLE)
    shown.page.get_by_label("Search Models").fill("mrpc")
    found = shown.table(TABLE)
    assert found == [row for row in every if row["task"] == "MRPC"] != every
    assert f"{len(found)} of {len(every)} rows" in shown.page.locator(f'[data-table="{TABLE}"]').inner_text()
    press(shown, "seed")
    fragment, rows = shown.ask("() => location.hash.slice(1)"), shown.table(TABLE)
    shown.start_anew()
    assert shown.table(TABLE) == every
    shown.start_anew(fragment)
    assert shown.table(TABLE) == rows


def test_words_of_a_search_may_stand_in_several_columns(shown: OpenedPage):
    every = shown.table(TABLE)
    shown.page.get_by_label("Search Models").fill("lora mrpc")
    assert shown.table(TABLE) == [row for row in every if (row["task"], row["method"]) == ("MRPC", "LoRA")] != []


def test_a_search_for_what_is_not_there_says_so(shown: OpenedPage):
    shown.page.get_by_label("Search Models").fill("<b>no such model</b>")
    assert shown.table(TABLE) == []
    assert "0 of" in shown.page.locator(f'[data-table="{TABLE}"]').inner_text()


def test_models_follow_the_filters(shown: OpenedPage):
    shown.choose("task", ["SST-2"])
    assert {row["task"] for row in shown.table(TABLE)} == {"SST-2"}


def test_a_missing_model_unfolds_to_the_command_that_makes_it(shown: OpenedPage):
    shown.page.get_by_label("Search Models").fill("missing")
    shown.page.locator(f'[data-table="{TABLE}"] button.unfold').first.click()
    text = shown.page.locator(f'[data-table="{TABLE}"] tr.below').first.inner_text()
    assert "repdrift train --task mrpc --method lora --seed 123" in text
