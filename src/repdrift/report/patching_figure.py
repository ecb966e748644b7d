"""The figure of patching: which share of the output change returns with one layer's state, both ways, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.patching_words import patching_sentences, reference_named
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.patching import PatchedShare, Patching
from repdrift.core.shared_paths import shareable
from repdrift.report.axis_ends import BEYOND, AxisEnds, Floats, cut_band, cut_line, ends_of, mark_beyond
from repdrift.report.captioned_figure import caption_lines_of, put_caption
from repdrift.report.comparison_figure import model_look
from repdrift.report.direction_panels import column
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import fitted, fitted_names
from repdrift.report.panels import legend_above, panel_title, two_panels
from repdrift.report.rendering import Drawing
from repdrift.report.style import GREY, layer_axis, legend_name_pt

FIGURE_NAME = "patched_share_by_layer"
_PANEL_IN = 2.2
_BOUNDS = (-1.0, 2.0)
"""The axis goes no farther than this, with some room; triangles at its frame stand for what lies beyond."""


def patching_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no model was patched.

    The left panel shows what the reference's state undoes in the tuned model, the right one what the tuned state brings to the reference.
    """
    if not any(found.layers for found in result.patching):
        return None
    shared = shareable(result)
    return lambda: _figure(shared)


def _figure(result: Comparison) -> Figure:
    done = [found for found in result.patching if found.layers]
    models = [model.name for model in result.compared]
    names = fitted_names([found.model for found in done], legend_name_pt() - 4)
    keys = [
        Line2D([], [], **model_look(models.index(found.model)), label=name + "*" * bool(found.notes))
        for found, name in zip(done, names, strict=True)
    ]
    figure = Figure()
    left, right, plan = two_panels(figure, _PANEL_IN, sharey=True)
    layers = sorted({at.layer for found in done for at in found.layers})
    for axes in (left, right):
        for level in (0.0, 1.0):
            axes.axhline(level, color=GREY, linewidth=0.8, linestyle=":")
        layer_axis(axes, layers, plan.room)
    ends = _ends(done)
    for found in done:
        number = models.index(found.model)
        at = [layer.layer for layer in found.layers]
        _line(left, at, [layer.undone for layer in found.layers], number, ends)
        _line(right, at, [layer.brought for layer in found.layers], number, ends)
    references = {reference_named(found) for found in done}
    reference = fitted(references.pop(), 80) if len(references) == 1 else "the reference"
    panel_title(left, "undone", [f"state of {reference} put into the tuned model"], plan.width_pt)
    panel_title(right, "brought", [f"tuned state put into {reference}"], plan.width_pt)
    for axes in (left, right)[: plan.rows]:
        axes.set_ylabel("share of the output change")
    for axes in (left, right):
        axes.set_ylim(ends.low, ends.high)
    above = legend_above(
        figure,
        keys,
        [str(key.get_label()) for key in keys],
        most=4,
        title="Which layers the output change goes through",
    )
    below = put_caption(figure, caption_lines_of(_caption(result, done)))
    figure.set_size_inches(page_width_in(), plan.rows * _PANEL_IN + above + below)
    return figure


def _caption(result: Comparison, done: Sequence[Patching]) -> list[str]:
    said = [
        f"Share = 1 - KL left / KL of the whole change, {done[0].samples} samples; bands are 95 % intervals over samples. "
        "0: the layer's state carries none of the change; 1: all of it."
    ]
    if any(_ends(done).side(value) for value in _values(done)):
        said.append(
            "A triangle at the frame: the share, or an end of its interval, lies beyond it; patching.csv has the numbers."
        )
    return [*said, *patching_sentences(result)]


def _values(done: Sequence[Patching]) -> Floats:
    """Every share and every end of an interval, in one row; NaN where there is no interval."""
    shares = [share for found in done for at in found.layers for share in (at.undone, at.brought)]
    return column([value for share in shares for value in (share.share, share.low, share.high)])


def _ends(done: Sequence[Patching]) -> AxisEnds:
    return ends_of(_values(done), _BOUNDS, (0.0, 1.0), room=0.05)


def _line(axes: Axes, layers: Sequence[int], shares: Sequence[PatchedShare], number: int, ends: AxisEnds) -> None:
    look = model_look(number)
    values = column([share.share for share in shares])
    marks = {"color": look["color"], "linestyle": "none", "clip_on": False}
    axes.plot(*cut_line(layers, values, ends), color=look["color"], linestyle=look["linestyle"])
    sides = np.array([ends.side(value) for value in values])
    for side, marker in {0: look["marker"], **BEYOND}.items():
        there = sides == side
        if not there.any():  # a line without a point has no place, and breaks the layout
            continue
        axes.plot(np.array(layers)[there], ends.clip(values[there]), marker, markersize=look["markersize"], **marks)
    low, high = column([share.low for share in shares]), column([share.high for share in shares])
    axes.fill_between(*cut_band(layers, low, high, ends), color=look["color"], alpha=0.2, linewidth=0)
    low, high = (np.where(sides == 0, of, np.nan) for of in (low, high))
    mark_beyond(axes, layers, low, high, ends, color=look["color"], size=3.5)
