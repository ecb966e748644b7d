"""The figure of directions: what kind of map accounts for the change, and how large the shift is, layer by layer, for every model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.directions_words import KIND_WORDS, share_of
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.directions import ModelDirections
from repdrift.core.shared_paths import shareable
from repdrift.report.captioned_figure import caption_lines_of, put_caption
from repdrift.report.comparison_figure import model_look
from repdrift.report.direction_panels import KEYS, RANDOM_KEY, column, stacked_shares
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.labels import FONT_PT, fitted_names
from repdrift.report.panels import legend_above, panel_title
from repdrift.report.rendering import Drawing
from repdrift.report.style import INK, layer_axis, note

FIGURE_NAME = "directions_by_layer"
_ROW_IN = {False: 1.5, True: 1.4}
"""Height of a panel in a wide and in a narrow figure."""


def directions_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no model moved."""
    shared = shareable(result)
    found = [
        (number, model.name, model.moved.directions)
        for number, model in enumerate(shared.compared)
        if model.moved is not None
        and model.moved.directions is not None
        and any(at.whole is not None for at in model.moved.directions.layers)
    ]
    if not found:
        return None
    return lambda: _figure(found)


def _figure(found: Sequence[tuple[int, str, ModelDirections]]) -> Figure:
    columns = 1 if is_narrow() else 2
    shown = found[: 2 * columns]
    figure = Figure()
    rows = figure.subplots(len(shown) * 2 // columns, columns, squeeze=False).reshape(-1, 2)
    width = 72 * page_width_in() / columns - 50
    names = fitted_names([name for _, name, _ in shown], width, FONT_PT)
    has_random = False
    for (left, right), (number, _, model), name in zip(rows, shown, names, strict=True):
        has_random |= _shares(left, model, 1 / columns)
        _sizes(right, model, number, 1 / columns)
        left.set_ylabel("share")
        right.set_ylabel("spreads")
        panel_title(left, name, ["share of the change"], width)
        panel_title(right, "size of the shift" if columns == 2 else f"{name}: size of the shift", (), width)
        if number != shown[-1][0]:
            left.set_xlabel("")
            right.set_xlabel("")
    keys = [*KEYS, *([RANDOM_KEY] if has_random else [])]
    above = legend_above(
        figure, keys, [str(key.get_label()) for key in keys], title="In which directions the representations moved"
    )
    below = put_caption(figure, caption_lines_of(_caption(found, len(shown))))
    figure.set_size_inches(page_width_in(), 0.2 + _ROW_IN[is_narrow()] * len(shown) * 2 / columns + above + below)
    return figure


def _shares(axes: Axes, model: ModelDirections, room: float) -> bool:
    """Draws the shares of a model. Returns whether it has those of a random change."""
    shares = {
        kind: column([share_of(at, kind).share if at.shares else None for at in model.layers]) for kind in KIND_WORDS
    }
    random = [None if at.beside_random is None else at.beside_random.random_shift_share for at in model.layers]
    there = any(value is not None for value in random)
    stacked_shares(axes, [at.layer for at in model.layers], shares, column(random) if there else None, room=room)
    return there


def _sizes(axes: Axes, model: ModelDirections, number: int, room: float) -> None:
    layers, look = [at.layer for at in model.layers], model_look(number)
    axes.plot(layers, column([at.relative_shift for at in model.layers]), clip_on=False, **look)
    low = column([at.relative_shift_low for at in model.layers])
    high = column([at.relative_shift_high for at in model.layers])
    axes.fill_between(layers, low, high, color=look["color"], alpha=0.2, linewidth=0)
    noise = column(
        [None if not at.spread or at.shift_noise is None else at.shift_noise / at.spread for at in model.layers]
    )
    axes.plot(layers, noise, color=INK, linestyle=":", linewidth=0.8)
    axes.set_ylim(bottom=0)
    layer_axis(axes, layers, room)
    if not axes.has_data() or not any(np.isfinite(line.get_ydata()).any() for line in axes.lines):
        note(axes, "no shift beyond its noise", (0.5, 0.5))


def _caption(found: Sequence[tuple[int, str, ModelDirections]], shown: int) -> list[str]:
    said = [
        "Bars: shares of the squared differences tuned - base on held-out samples, each map added to those below it; hatched: nothing moved, or too few samples. "
        "Line: norm of the mean difference without its noise, in spreads of the base model's samples, with its 95 % interval; dotted: the norm that noise alone gives. "
        "A layer without a point has no shift beyond its noise."
    ]
    if any(at.beside_random is not None for _, _, model in found for at in model.layers):
        said.append(
            "Dashes: share of the shift where the weights are moved at random as far, over the control samples: a shift as large as there is no sign of training."
        )
    if len(found) > shown:
        said.append(f"The first {shown} of {len(found)} models are shown; directions.parquet has all.")
    return said
