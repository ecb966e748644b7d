"""Every filter changes what is drawn, to what drift.parquet holds for that choice, and back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from repdrift.core.words import method_title
from repdrift.report.page.contents import DRIFT
from repdrift.report.report_data import ReportData
from tests.browser.drawn import panels
from tests.browser.findings import of_places, of_values
from tests.browser.opened_page import OpenedPage, opened


def test_the_first_view_draws_the_final_models_by_the_primary_measure(shown: OpenedPage, data: ReportData):
    assert of_values(shown, data) == []


@pytest.mark.parametrize(
    ("column", "words", "chosen"),
    [
        ("task", ["MRPC"], {"task": "mrpc"}),
        ("arm", [method_title("lora")], {"method": "lora"}),
        ("arm", [method_title("full_finetune"), method_title("bitfit")], {"method": ["full_finetune", "bitfit"]}),
        ("seed", ["123"], {"seed": 123}),
        ("measure", None, {"measure": "cosine"}),
        ("step", ["10"], {"step": 10}),
    ],
    ids=["task", "arm", "two-arms", "seed", "measure", "step"],
)
def test_a_filter_draws_its_choice_and_goes_back(shown: OpenedPage, data: ReportData, column, words, chosen):
    boxes = shown.boxes(column)
    shown.choose(column, words or [name for name, on in boxes.items() if not on][:1])
    assert of_values(shown, data, **chosen) == []
    assert of_values(shown, data) != [], "the choice draws what all choices draw"
    assert of_places(shown) == []
    shown.choose(column, [name for name, on in boxes.items() if on])
    assert of_values(shown, data) == []


def test_points_lie_at_their_values_on_the_axis(shown: OpenedPage):
    assert sum(len(panel.marks) for panel in panels(shown, DRIFT)) == 66
    assert of_places(shown) == []


def test_panels_of_tasks_have_one_scale(shown: OpenedPage):
    scales = [(panel.y_labels[0][0], panel.y_labels[-1][0]) for panel in panels(shown, DRIFT)]
    assert len(scales) == 2
    assert scales[0] == scales[1]


def test_quick_changes_leave_one_drawing(shown: OpenedPage):
    shown.ask(
        """() => { for (const box of document.querySelectorAll('fieldset[data-filter="seed"] input')) {
          document.querySelector('fieldset[data-filter="seed"] input').click(); } }"""
    )
    shown.settle()
    assert [panel.title for panel in panels(shown, DRIFT)] == ["SST-2", "MRPC"]


def test_a_filter_leaves_the_axes_that_its_link_opens_with(shown: OpenedPage, browser: Browser):
    before = _drawn(shown)
    shown.choose("measure", [name for name, on in shown.boxes("measure").items() if not on][:1])
    shown.choose("arm", [method_title("lora")])
    in_place = _drawn(shown)
    afresh = opened(browser, shown.path, fragment=shown.ask("() => location.hash.slice(1)"), unfolded=False)
    assert in_place == _drawn(afresh)
    assert [labels for labels, _ in in_place] != [labels for labels, _ in before], "the axis is another"
    afresh.context.close()


def _drawn(shown: OpenedPage) -> list[tuple[list[tuple[float, float]], list[tuple[float, float]]]]:
    """For each panel, the numbers on the upright axis with their places, and the places of the marks, in whole pixels from the least number."""
    found = []
    for panel in panels(shown, DRIFT):
        ordered = sorted(panel.y_labels)
        zero = ordered[0][1]
        labels = [(value, round(at - zero)) for value, at in ordered]
        found.append((labels, [(round(mark.x), round(mark.y - zero)) for mark in panel.marks]))
    return found
