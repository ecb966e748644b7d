"""Every filter changes what is drawn, to what drift.parquet holds for that choice, and back."""

from __future__ import annotations

import pytest

from repdrift.core.words import method_title, task_title
from repdrift.report.report_data import ReportData
from tests.browser.drawn import drawn_rows, panels
from tests.browser.opened_page import OpenedPage
from tests.browser.tried_study import drift_rows

VIEW = "drift"
START = {"measure": "cka", "step": 0}


def expected(data: ReportData, **chosen: object) -> list[tuple]:
    """Task, method, seed, layer and drift in the order of all rows that are chosen, as the page should draw them."""
    rows = drift_rows(data)
    for name, values in {**START, **chosen}.items():
        rows = rows[rows[name].isin(values if isinstance(values, list) else [values])]
    return sorted(
        (task_title(row.task), method_title(row.method), int(row.seed), int(row.layer), float(f"{row.drift:.6g}"))
        for row in rows.itertuples()
    )


def drawn(shown: OpenedPage) -> list[tuple]:
    return sorted((row["task"], row["arm"], row["seed"], row["layer"], row["drift"]) for row in drawn_rows(shown, VIEW))


def test_the_first_view_draws_the_final_models_by_the_primary_measure(shown: OpenedPage, data: ReportData):
    assert drawn(shown) == expected(data)


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
    before, boxes = drawn(shown), shown.boxes(column)
    words = words or [name for name, on in boxes.items() if not on][:1]
    shown.choose(column, words)
    assert drawn(shown) == expected(data, **chosen) != before
    shown.choose(column, [name for name, on in boxes.items() if on])
    assert drawn(shown) == before


def test_points_lie_at_their_values_on_the_axis(shown: OpenedPage):
    for panel in panels(shown, VIEW):
        assert len(panel.marks) > 20
        for mark in panel.marks:
            assert panel.read_off(mark) == pytest.approx(mark.row["drift"], abs=1.5 * panel.value_of_pixel)


def test_panels_of_tasks_have_one_scale(shown: OpenedPage):
    scales = [(panel.y_labels[0][0], panel.y_labels[-1][0]) for panel in panels(shown, VIEW)]
    assert len(scales) == 2
    assert scales[0] == scales[1]


def test_quick_changes_leave_one_drawing(shown: OpenedPage):
    shown.ask(
        """() => { for (const box of document.querySelectorAll('fieldset[data-filter="seed"] input')) {
          document.querySelector('fieldset[data-filter="seed"] input').click(); } }"""
    )
    shown.settle()
    assert [panel.title for panel in panels(shown, VIEW)] == ["SST-2", "MRPC"]
