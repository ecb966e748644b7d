"""A logarithmic scale draws the same values, and a click on a cell chooses its layer everywhere."""

from __future__ import annotations

from repdrift.report.report_data import ReportData
from tests.browser.findings import of_axes, of_places, of_values
from tests.browser.opened_page import OpenedPage

_CELL = """() => { const cell = [...document.querySelectorAll('.chart[data-view=heatmap] .mark-rect > path')].find((each) => each.__data__.datum.layer === 4);
  cell.scrollIntoView({ block: 'center' }); const box = cell.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }"""
_RULES = """() => [...document.querySelectorAll('.chart[data-view=drift] .mark-rule > line')]
  .filter((line) => line.__data__.datum.layer === 4 && 'rows' in line.__data__.datum).length"""


def test_a_logarithmic_scale_has_the_same_values_at_other_places(shown: OpenedPage, data: ReportData):
    button = shown.page.locator("#drift button.log")
    button.click()
    shown.settle()
    assert "log=drift" in shown.ask("() => location.hash")
    assert of_values(shown, data) == []
    assert of_places(shown, logarithmic=True) == of_axes(shown) == []
    assert of_places(shown) != []
    button.click()
    shown.settle()
    assert of_places(shown) == []
    assert shown.ask("() => location.hash") == ""


def test_a_click_on_a_cell_chooses_its_layer_everywhere(shown: OpenedPage, data: ReportData):
    shown.ask("() => document.querySelector('.chart[data-view=heatmap]').scrollIntoView()")
    shown.settle()
    x, y = shown.ask(_CELL)
    shown.page.mouse.click(x, y)
    shown.settle()
    assert "layer=4" in shown.ask("() => location.hash")
    assert (
        shown.ask("() => document.querySelector('fieldset[data-filter=layer] select').selectedOptions[0].textContent")
        == "4"
    )
    assert shown.ask(_RULES) == 2, "the main chart marks the layer in both of its panels"
    shown.page.mouse.click(*shown.ask(_CELL))
    shown.settle()
    assert shown.ask("() => location.hash") == ""
    assert shown.ask(_RULES) == 0
