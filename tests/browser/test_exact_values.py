"""The value under the pointer, the one that the keyboard reads, and the table of values are one."""

from __future__ import annotations

from repdrift.report.page.contents import DRIFT
from repdrift.report.report_data import ReportData
from tests.browser.drawn import lone_marks, panels
from tests.browser.findings import of_values
from tests.browser.opened_page import OpenedPage

_TIP = """() => { const tip = document.querySelector('.tip');
  return tip.hidden ? null : Object.fromEntries([...tip.querySelectorAll('dt')].map((each) => [each.textContent, each.nextElementSibling.textContent])); }"""


def test_the_table_below_a_chart_has_the_rows_of_drift_parquet(shown: OpenedPage, data: ReportData):
    shown.choose("task", ["MRPC"])
    assert of_values(shown, data, task="mrpc") == []
    rows = data.primary[data.primary["task"] == "mrpc"]
    table = shown.table(DRIFT)
    there = [row for row in table if row["drift"] != "none"]
    assert sorted(float(row["drift"]) for row in there) == sorted(float(f"{value:.6g}") for value in rows["drift"])
    assert {(row["method"], row["seed"]) for row in table if row not in there} == {("LoRA", "123")}
    assert {row["task"] for row in table} == {"MRPC"}


def test_what_the_pointer_shows_is_a_row_of_the_table(shown: OpenedPage):
    table = shown.table(DRIFT)
    shown.ask("() => document.querySelector('.chart[data-view=drift]').scrollIntoView({ block: 'center' })")
    shown.settle()
    seen = set()
    for mark in lone_marks(panels(shown, DRIFT), 8):
        shown.page.mouse.move(mark.x, mark.y)
        tip = shown.ask(_TIP)
        assert tip in table
        assert float(tip["drift"]) == mark.row["drift"]
        assert (tip["task"], tip["layer"], tip["seed"]) == (
            mark.row["task"],
            str(mark.row["layer"]),
            str(mark.row["seed"]),
        )
        seen.add(tuple(tip.values()))
    assert len(seen) == 8
    shown.page.mouse.move(2, 2)
    assert shown.ask(_TIP) is None


def test_what_the_keyboard_reads_are_rows_of_the_table(shown: OpenedPage):
    sentences = {"; ".join(f"{head} {value}" for head, value in row.items()) + "." for row in shown.table(DRIFT)}
    shown.ask("() => document.querySelector('.chart[data-view=drift]').focus()")
    read = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "End", "PageDown", "Home"):
        shown.page.keyboard.press(key)
        read.append(shown.ask("() => document.querySelector('#drift .readout').textContent"))
    assert len(set(read)) == len(read)
    for sentence in read:
        assert sentence.split(" (")[0] in sentences, sentence
    assert "layer 5" in read[3]
    assert "layer 0" in read[5]
