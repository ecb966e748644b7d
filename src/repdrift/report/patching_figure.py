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
from repdrift.report.captioned_figure import caption_lines_of, put_caption
from repdrift.report.comparison_figure import model_look
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import fitted, fitted_names
from repdrift.report.panels import legend_above, panel_title, two_panels
from repdrift.report.rendering import Drawing
from repdrift.report.style import GREY, layer_axis, legend_name_pt

FIGURE_NAME = "patched_share_by_layer"
_PANEL_IN = 2.2
_LOWEST, _HIGHEST = -1.0, 2.0
"""Ends of the axis. Shares beyond them are drawn there, and the caption says so."""


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
    for found in done:
        number = models.index(found.model)
        at = [layer.layer for layer in found.layers]
        _line(left, at, [layer.undone for layer in found.layers], number)
        _line(right, at, [layer.brought for layer in found.layers], number)
    references = {reference_named(found) for found in done}
    reference = fitted(references.pop(), 80) if len(references) == 1 else "the reference"
    panel_title(left, "undone", [f"state of {reference} put into the tuned model"], plan.width_pt)
    panel_title(right, "brought", [f"tuned state put into {reference}"], plan.width_pt)
    for axes in (left, right)[: plan.rows]:
        axes.set_ylabel("share of the output change")
    for axes in (left, right):
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -0.05), max(high, 1.05))
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
    shares = [share for found in done for at in found.layers for share in (at.undone, at.brought)]
    said = [
        f"Share = 1 - KL left / KL of the whole change, {done[0].samples} samples; bands are 95 % intervals over samples. "
        "0: the layer's state carries none of the change; 1: all of it."
    ]
    if any(not _LOWEST <= share.share <= _HIGHEST for share in shares):
        said.append(f"Shares below {_LOWEST:g} or above {_HIGHEST:g} are drawn at the edge; patching.csv has them.")
    return [*said, *patching_sentences(result)]


def _line(axes: Axes, layers: Sequence[int], shares: Sequence[PatchedShare], number: int) -> None:
    look = model_look(number)
    axes.plot(layers, np.clip([share.share for share in shares], _LOWEST, _HIGHEST), clip_on=False, **look)
    low = np.array([np.nan if share.low is None else share.low for share in shares])
    high = np.array([np.nan if share.high is None else share.high for share in shares])
    axes.fill_between(
        layers, np.clip(low, _LOWEST, _HIGHEST), np.clip(high, _LOWEST, _HIGHEST), color=look["color"], alpha=0.2, linewidth=0
    )  # fmt: skip
