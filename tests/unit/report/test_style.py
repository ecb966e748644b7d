import os

import pytest
from matplotlib.figure import Figure

from repdrift.report.figures import figures
from repdrift.report.panels import draw_grid, label_outer, panel_plan
from repdrift.report.rendering import rendered
from repdrift.report.style import log_ticks, paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data


@pytest.mark.parametrize("date", ["-1", "abc", "99999999999999999", "-99999999999999999999", "1700000000"])
def test_a_date_in_the_environment_changes_no_figure(date, monkeypatch):
    data = report_data(Synthetic(tasks=("sst2",), methods=("lora",), layers=3))
    spec = next(spec for spec in figures() if spec.name == "drift_by_layer")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    without = rendered(lambda: spec.draw(data), ("png", "pdf"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
    assert rendered(lambda: spec.draw(data), ("png", "pdf")) == without
    assert os.environ["SOURCE_DATE_EPOCH"] == date


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (6, 3), (7, 3), (8, 3)])
def test_panels_stand_in_rows_that_are_as_equal_as_they_can_be(count, columns):
    with paper_style():
        plan = panel_plan(count, 1.5, least_in=2.0, most_columns=3)
    assert (plan.columns, plan.shown) == (columns, count)


@pytest.mark.parametrize(
    ("count", "named"), [(1, [0]), (4, [2, 3]), (5, [0, 1, 2, 3, 4]), (6, [3, 4, 5]), (8, [3, 4, 5, 6, 7])]
)
def test_panels_of_one_row_have_all_their_numbers_or_none(count, named):
    with paper_style():
        plan = panel_plan(count, 1.5, least_in=2.0, most_columns=3)
        panels = draw_grid(Figure(), plan, sharex=True)
        label_outer(panels, plan)
        shown = [n for n, axes in enumerate(panels) if axes.xaxis.get_tick_params()["labelbottom"]]
    assert shown == named


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.005, 0.7, set()),
        (0.26, 0.55, {"0.3", "0.4", "0.5"}),
        (0.15, 0.8, {"0.2", "0.3", "0.5"}),
        (0.06, 0.55, {"0.2", "0.3", "0.5"}),
        (2.5e-5, 5.5e-5, {"3×10⁻⁵", "4×10⁻⁵", "5×10⁻⁵"}),
    ],
)
def test_a_logarithmic_axis_with_few_powers_of_ten_has_labels_between_them(low, high, labels):
    axes = Figure().subplots()
    axes.set_yscale("log")
    log_ticks(axes.yaxis)
    axes.set_ylim(low, high)
    axes.figure.canvas.draw()
    ticks = zip(axes.yaxis.get_minorticklabels(), axes.yaxis.get_minorticklocs(), strict=True)
    assert {label.get_text() for label, at in ticks if label.get_text() and low <= at <= high} == labels
