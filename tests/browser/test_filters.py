"""Every filter changes what is drawn, to what drift.parquet holds for that choice, and back."""

from __future__ import annotations

import pytest

from repdrift.core.words import method_title
from repdrift.report.page.contents import DRIFT
from repdrift.report.report_data import ReportData
from tests.browser.drawn import panels
from tests.browser.findings import of_places, of_values
from tests.browser.opened_page import OpenedPage


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
