"""The figure of directions: what kind of map accounts for the change, and how large the shift is, layer by layer, for every model."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.directions_words import KIND_WORDS, share_of
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.directions import ModelDirections
from repdrift.core.shared_paths import shareable
from repdrift.report.captioned_figure import caption_lines_of, captioned_figure
from repdrift.report.comparison_figure import model_look
from repdrift.report.direction_panels import KEYS, RANDOM_KEY, column, stacked_shares
from repdrift.report.labels import plain
from repdrift.report.rendering import Drawing, png_and_pdf_files
from repdrift.report.style import INK, layer_axis, legend_columns

FIGURE_NAME = "directions_by_layer"
_MOST_MODELS = 6
_ROW_IN = 1.55
_KEY_IN = 0.42
_LEGEND_PT = 7


def directions_figures(result: Comparison) -> dict[str, bytes]:
    """Draws the figure. Returns the contents of a PNG and a PDF file by name; nothing if no model moved."""
    return png_and_pdf_files(FIGURE_NAME, directions_drawing(result))


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
    shown = found[:_MOST_MODELS]
    caption = caption_lines_of(_caption(found))
    figure, (panels,) = captioned_figure([_ROW_IN * len(shown) + _KEY_IN + 0.3], caption)
    rows = panels.subplots(len(shown), 2, squeeze=False)
    has_random = False
    for (left, right), (number, name, model) in zip(rows, shown, strict=True):
        has_random |= _shares(left, model)
        _sizes(right, model, number)
        left.set_ylabel("share of the change")
        right.set_ylabel("shift, in spreads")
        left.set_title(plain(name))
        right.set_title("size of the shift")
    keys = [*KEYS, *([RANDOM_KEY] if has_random else [])]
    names = [str(key.get_label()) for key in keys]
    panels.legend(
        handles=keys, loc="outside lower center", ncols=legend_columns(names, _LEGEND_PT), fontsize=_LEGEND_PT
    )
    panels.suptitle("In which directions the representations moved", fontsize=9)
    return figure


def _shares(axes: Axes, model: ModelDirections) -> bool:
    """Draws the shares of a model. Returns whether it has those of a random change."""
    shares = {
        kind: column([share_of(at, kind).share if at.shares else None for at in model.layers]) for kind in KIND_WORDS
    }
    random = [None if at.beside_random is None else at.beside_random.random_shift_share for at in model.layers]
    there = any(value is not None for value in random)
    stacked_shares(axes, [at.layer for at in model.layers], shares, column(random) if there else None)
    return there


def _sizes(axes: Axes, model: ModelDirections, number: int) -> None:
    layers, look = [at.layer for at in model.layers], model_look(number)
    axes.plot(layers, column([at.relative_shift for at in model.layers]), **look)
    low = column([at.relative_shift_low for at in model.layers])
    high = column([at.relative_shift_high for at in model.layers])
    axes.fill_between(layers, low, high, color=look["color"], alpha=0.2, linewidth=0)
    noise = column(
        [None if not at.spread or at.shift_noise is None else at.shift_noise / at.spread for at in model.layers]
    )
    axes.plot(layers, noise, color=INK, linestyle=":", linewidth=0.8)
    axes.set_ylim(bottom=0)
    layer_axis(axes, layers)


def _caption(found: Sequence[tuple[int, str, ModelDirections]]) -> list[str]:
    said = [
        "Left: shares of the squared differences tuned - base on held-out samples, each map added to those below it; hatched: nothing moved, or too few samples. "
        "Right: norm of the mean difference without its noise, in spreads of the base model's samples, with its 95 % interval; dotted: the norm that noise alone gives. "
        "A layer without a point has no shift beyond its noise."
    ]
    if any(at.beside_random is not None for _, _, model in found for at in model.layers):
        said.append(
            "Dashes: share of the shift where the weights are moved at random as far, over the control samples: a shift as large as there is no sign of training."
        )
    if len(found) > _MOST_MODELS:
        said.append(f"The first {_MOST_MODELS} of {len(found)} models are shown; directions.parquet has all.")
    return said
