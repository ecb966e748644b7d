"""Choices beyond the usual study: another site in the bar, and the choices that stand beside one chart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from repdrift.report.page import page_html
from repdrift.report.page.contents import View
from repdrift.report.page.study import study_page
from repdrift.report.report_data import ReportData
from tests.browser.findings import of_access, of_places, of_room, of_silence, of_values
from tests.browser.opened_page import OpenedPage, opened
from tests.unit.report.page.views.made_studies import PLAIN, made

_CELLS = """view => [...document.querySelectorAll(`.chart[data-view="${view}"] .mark-rect > path`)].map((cell) => cell.__data__.datum)
  .filter((datum) => datum?.model).map((datum) => [datum.model, datum.other, datum.likeness])"""
_POINTS = """view => [...document.querySelectorAll(`.chart[data-view="${view}"] .mark-symbol > path`)].map((mark) => mark.__data__.datum)
  .filter((datum) => datum.layer_claim).map((datum) => [datum.layer_claim, datum.layer, datum.p])"""


@pytest.fixture(scope="module")
def moved(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ReportData, dict[str, View], OpenedPage]]:  # fmt: skip
    data = made(PLAIN)
    sites = data.table.assign(site="attn_out", drift=data.table["drift"] / 3)
    data = replace(data, other_sites=sites)
    page = study_page(data)
    path: Path = tmp_path_factory.mktemp("choices") / "report.html"
    path.write_text(page_html(page), encoding="utf-8")
    shown = opened(browser, path)
    yield data, {view.name: view for view in page.views}, shown
    shown.context.close()


@pytest.fixture
def there(moved: tuple[ReportData, dict[str, View], OpenedPage]) -> OpenedPage:
    moved[2].start_anew()
    return moved[2]


def look_at(shown: OpenedPage, view: str) -> None:
    shown.ask("view => document.querySelector(`.chart[data-view='${view}']`).scrollIntoView()", view)
    shown.settle()


def test_another_site_is_drawn_in_place_of_the_residual_stream(moved, there: OpenedPage):
    data = moved[0]
    assert of_values(there, data) == []
    there.choose("site", ["attention output"])
    other = replace(data, table=data.other_sites)
    assert of_values(there, other) == []
    assert of_values(there, data) != []
    assert of_places(there) == []
    assert "site=attn_out" in there.ask("() => location.hash")
    there.choose("site", ["residual stream"])
    assert of_values(there, data) == []


def test_likeness_draws_the_cells_of_what_is_chosen_on_both_sides_of_the_diagonal(moved, there: OpenedPage):
    rows = moved[1]["likeness"].rows
    look_at(there, "likeness")
    for by in ("all weights", "weights: query", "directions in layer 1", "drift by layer (rank correlation)"):
        there.choose("by", [by])
        here = rows[(rows["by"] == by) & rows["likeness"].notna()]
        expected = [(row.model, row.other, float(f"{row.likeness:.6g}")) for row in here.itertuples()]
        assert sorted(tuple(cell) for cell in there.ask(_CELLS, "likeness")) == sorted(2 * expected), by
    assert "by=drift" in there.ask("() => location.hash")
    assert there.page.locator("#filters-note").is_hidden(), "a choice of one chart is not about the page"
    assert there.page.locator("#likeness .answer-of-start").is_visible()
    there.page.locator("#reset").click()
    there.settle()
    assert there.ask("() => location.hash") == ""
    assert there.boxes("by")["all weights"]


def test_the_claim_that_is_chosen_is_drawn_with_its_p(moved, there: OpenedPage):
    rows = moved[1]["significance"].rows
    look_at(there, "significance")
    for claim in there.boxes("layer_claim"):
        there.choose("layer_claim", [claim])
        here = rows[rows["layer_claim"] == claim]
        expected = [[row.layer_claim, row.layer, float(f"{row.p:.6g}")] for row in here.itertuples()]
        assert sorted(there.ask(_POINTS, "significance")) == sorted(expected), claim


@pytest.mark.parametrize("width", [390, 1400])
def test_charts_with_choices_of_their_own_overflow_nothing_and_can_be_read(there: OpenedPage, width: int):
    there.page.set_viewport_size({"width": width, "height": 1000})
    there.see_all()
    assert of_room(there) == []
    assert of_access(there) == []
    assert of_silence(there) == []


def test_a_chart_that_does_not_follow_a_choice_says_so(there: OpenedPage):
    look_at(there, "reduction")
    note = there.page.locator("#reduction .scale-note")
    assert note.is_hidden()
    there.choose("measure", [name for name, on in there.boxes("measure").items() if not on][:1])
    assert note.inner_text() == "Not by what is chosen: this chart does not follow measure."
    look_at(there, "heatmap")
    assert there.page.locator("#heatmap .scale-note").is_hidden()
