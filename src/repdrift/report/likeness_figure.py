"""The heatmap of likenesses: cosine of the changes of the weights of every two models, in the order in which clustering puts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from repdrift.core.records.likeness import ChangeLikeness
from repdrift.core.words import method_title, task_title
from repdrift.report.captioned_figure import caption_lines_of, captioned_figure
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import plain
from repdrift.report.rendering import Drawing, png_and_pdf_files
from repdrift.report.style import GREY, HATCH

FIGURE_NAME = "likeness"
_LEAST_MODELS = 3
_MOST_NUMBERS = 14
_MOST_NAMES = 48


def is_drawn(found: ChangeLikeness) -> bool:
    """Tells whether there are enough models with a likeness for a matrix."""
    return len(_places(found)) >= _LEAST_MODELS


def likeness_figures(found: ChangeLikeness) -> dict[str, bytes]:
    """Draws the figure. Returns the contents of a PNG and a PDF file by name; nothing for fewer than three models."""
    return png_and_pdf_files(FIGURE_NAME, likeness_drawing(found))


def likeness_drawing(found: ChangeLikeness) -> Drawing | None:
    """Returns what draws the figure; None if there are fewer than three models."""
    if not is_drawn(found):
        return None
    return lambda: likeness_figure(found, caption=[likeness_caption()])


def likeness_caption() -> str:
    """Says how to read the figure."""
    return (
        "Cosine of the changes of all weights of two models: 1 the same change but for its size, 0 unrelated, -1 the opposite. Models are in the order of "
        "average linkage clustering of 1 - cosine. Hatched: there is no cosine, since a model changed nothing or could not be read."
    )


def likeness_description(found: ChangeLikeness) -> str:
    """Says which models are most and least alike, with their cosines."""
    there = [(p, p.whole.cosine) for p in found.pairs if p.whole.cosine is not None]
    if not there:
        return "No two models have a cosine."
    (least, low), (most, high) = (pick(there, key=lambda item: item[1]) for pick in (min, max))
    named = [f"{found.models[p.first].name} and {found.models[p.second].name}" for p in (most, least)]
    return (
        f"A matrix of {len(_places(found))} models. Most alike: {named[0]} ({high:.2f}); least: {named[1]} ({low:.2f})."
    )


def likeness_figure(found: ChangeLikeness, *, caption: Sequence[str] = ()) -> Figure:
    """Draws the matrix. caption: sentences below it."""
    places = _places(found)
    lines = caption_lines_of(caption) if caption else []
    side = min(page_width_in(), 1.9 + 0.32 * len(places))
    figure, (panel,) = captioned_figure([side], lines)
    axes = panel.subplots()
    _draw(axes, _matrix(found, places), [_name(found, place) for place in places])
    panel.colorbar(axes.images[0], ax=axes, shrink=0.7, label="cosine of the changes of weights")
    return figure


def _draw(axes: Axes, values: NDArray[np.float64], names: Sequence[str]) -> None:
    count = len(values)
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="equal", interpolation="nearest")
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor=GREY, hatch=HATCH, linewidth=0)
            )
        elif count <= _MOST_NUMBERS and row != column:
            shade = "white" if abs(value) > 0.65 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=shade)
    size = 7 if count <= _MOST_NUMBERS else 5
    ticks = range(count) if count <= _MOST_NAMES else range(0, count, 1 + count // _MOST_NAMES)
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90, fontsize=size)
    axes.set_yticks(ticks, [names[i] for i in ticks], fontsize=size)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _places(found: ChangeLikeness) -> list[int]:
    """The models that have a pair, as clustering puts them."""
    paired = {place for pair in found.pairs for place in (pair.first, pair.second)}
    return [place for place in found.order if place in paired]


def _matrix(found: ChangeLikeness, places: Sequence[int]) -> NDArray[np.float64]:
    at = {place: row for row, place in enumerate(places)}
    values = np.full((len(places), len(places)), np.nan)
    np.fill_diagonal(values, 1.0)
    for pair in found.pairs:
        if pair.first in at and pair.second in at and pair.whole.cosine is not None:
            values[at[pair.first], at[pair.second]] = values[at[pair.second], at[pair.first]] = pair.whole.cosine
    return values


def _name(found: ChangeLikeness, place: int) -> str:
    model = found.models[place]
    if model.task is None or model.method is None:
        return plain(model.name)
    return plain(f"{task_title(model.task)}, {method_title(model.method)}, {model.seed}", 40)
