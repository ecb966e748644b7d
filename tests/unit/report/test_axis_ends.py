"""Nothing that is cut at the end of an axis looks as if it ended there: lines keep their slope, and triangles stand where something goes on."""

from dataclasses import replace

import numpy as np
import pytest

from repdrift.core.records.claims import Interval
from repdrift.report.axis_ends import AxisEnds, cut_band, cut_line, ends_of
from repdrift.report.figures import figures
from repdrift.report.figures.reduction_by_layer import axis_of
from repdrift.report.style import paper_style
from tests.unit.report.synthetic_results import Synthetic, report_data

SPECS = {spec.name: spec for spec in figures()}
ENDS = AxisEnds(-100.0, 50.0)


def test_a_line_keeps_its_slope_up_to_the_end():
    x, y = cut_line([0, 1, 2], np.array([0.0, -400.0, 100.0]), ENDS)
    assert x.tolist() == pytest.approx([0, 0.25, 1, 1.6, 1.9, 2])
    assert y.tolist() == pytest.approx([0, -100, -100, -100, 50, 50])


def test_a_band_has_both_sides_at_the_same_places_and_keeps_its_gaps():
    x, low, high = cut_band(
        [0, 1, 2, 3], np.array([-300.0, 0.0, np.nan, 0.0]), np.array([0.0, 10.0, np.nan, 90.0]), ENDS
    )
    assert x.tolist() == pytest.approx([0, 2 / 3, 1, 2, 3])
    assert low.tolist() == pytest.approx([-100, -100, 0, np.nan, 0], nan_ok=True)
    assert high.tolist() == pytest.approx([0, 20 / 3, 10, np.nan, 50], nan_ok=True)


def test_the_ends_hold_what_is_asked_for_and_no_more_than_the_bounds():
    assert ends_of(np.array([-20.0, 60.0, np.nan]), (-100, 150), (0.0,), room=0.1) == AxisEnds(-28.0, 68.0)
    assert ends_of(np.array([-2000.0, 60.0]), (-100, 150), (0.0,), room=0.0) == AxisEnds(-100.0, 60.0)
    assert ends_of(np.array([np.nan]), (-100, 150), (0.0, 20.0), room=0.0) == AxisEnds(0.0, 20.0)
    assert ENDS.side(float("nan")) == ENDS.side(-100.0) == 0


def with_wide_interval(layers):
    """A study of one contrast whose interval in layer 0 goes from -368 to 21.6 %."""
    data = report_data(Synthetic(tasks=("sst2", "mrpc"), layers=layers, seeds=(1, 2), measures=("cka",)))
    wide = Interval(over="models and samples", low=-3.68, high=0.216, method="made")
    reductions = [
        r.model_copy(update={"intervals": [wide], "reduction": -0.9}) if r.task == "all" and r.layer == 0 else r
        for r in data.results.reductions
    ]
    return replace(data, results=data.results.model_copy(update={"reductions": reductions}))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", ["reduction_by_layer", "overview"])
def test_an_interval_that_goes_on_has_a_triangle_at_the_frame_and_its_end_in_the_caption(name, layers):
    data = with_wide_interval(layers)
    with paper_style():
        figure = SPECS[name].draw(data)
        caption = SPECS[name].caption(data)
    axes = (
        figure.axes[0]
        if name == "reduction_by_layer"
        else next(a for a in figure.axes if "(d)" in a.get_title(loc="left"))
    )
    ends = axis_of(data)
    assert axes.get_ylim() == (ends.low, ends.high)
    assert ends.low < -100
    (triangle,) = [line for line in axes.lines if line.get_marker() == "v"]
    assert (triangle.get_xdata()[0], triangle.get_ydata()[0]) == (0, ends.low)
    assert "layer 0 (the interval to -370 %)" in caption


def test_a_figure_in_which_nothing_goes_on_has_no_triangle():
    data = report_data(Synthetic(tasks=("sst2", "mrpc"), layers=3, seeds=(1, 2), measures=("cka",)))
    with paper_style():
        axes = SPECS["reduction_by_layer"].draw(data).axes[0]
        assert "riangle" not in SPECS["reduction_by_layer"].caption(data)
    assert not [line for line in axes.lines if line.get_marker() in ("v", "^")]


def test_a_lower_bound_beyond_the_forest_has_an_arrow():
    data = report_data(Synthetic(tasks=("sst2",), layers=2, seeds=(1, 2), measures=("cka",)))
    reductions = [
        r.model_copy(update={"intervals": [], "reduction": -0.5, "reduction_low": -3.0}) if r.layer is None else r
        for r in data.results.reductions
    ]
    data = replace(data, results=data.results.model_copy(update={"reductions": reductions}))
    with paper_style():
        axes = SPECS["drift_reduction"].draw(data).axes[0]
    assert [line.get_marker() for line in axes.lines if line.get_marker() in ("<", "|", "s")] == ["<", "s"]
