"""The heatmaps of likenesses: of weights, drift by layer, or directions of every two models, in the order in which clustering puts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from repdrift.core.likeness_matrices import LikenessMatrix, likeness_matrix
from repdrift.core.records.likeness import ChangeLikeness, LikenessOf
from repdrift.core.words import method_title, task_title
from repdrift.report.captioned_figure import LINE_IN, caption_lines_of, put_caption
from repdrift.report.cell_numbers import CellNumber, CellNumbers
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.labels import NOTE_PT, fitted_names, one_line, text_width_pt, without_formulas, wrapped
from repdrift.report.rendering import Drawing
from repdrift.report.style import GREY, HATCH, LIKENESS

FIGURE_NAMES: Mapping[LikenessOf, str] = {
    "weights": "likeness",
    "profiles": "likeness_of_profiles",
    "directions": "likeness_of_directions",
}


@dataclass(frozen=True)
class _Words:
    """Words of one matrix: `what` its cells are, the `number` in each, why one is `missing`, and the label of the colour `bar`."""

    what: str
    number: str
    missing: str
    bar: str


_WORDS: Mapping[LikenessOf, _Words] = {
    "weights": _Words(
        "Cosine of the changes of all weights of two models: 1 the same change but for its size, 0 unrelated, -1 the opposite.",
        "cosine",
        "since a model changed nothing or could not be read",
        "cosine of the changes of weights",
    ),
    "profiles": _Words(
        "Rank correlation of the drift by layer of two models: 1 the same layers drift most, -1 those drift most that drift least in the other. Drift rises toward the top in most models, so high correlations are usual.",
        "rank correlation",
        "since the drift of a model is above noise in no layer, or too few layers have one",
        "rank correlation of drift by layer",
    ),
    "directions": _Words(
        "Cosine of the mean differences, tuned minus base, of two models over the same samples, mean over the layers in which every pair has one: 1 the samples move in one direction, 0 unrelated, -1 the opposite.",
        "cosine",
        "since the two were measured on other samples, or one did not move",
        "cosine of the mean differences",
    ),
}
_LEAST_MODELS = 3
_LONG_IN = 2.2
_NAME_SHARE = 0.29
"""Names of models take no more than this share of the width; with longer ones, numbers stand at the matrix and the names below it."""
_OPPOSITE = -0.1
"""Below this, cells without a number have a dash, since blue and orange are equally dark in grey."""


def why_not_drawn(found: ChangeLikeness, of: LikenessOf = "weights") -> str | None:
    """Says why there is no such matrix, as part of a sentence; None if there is one: of three models or more, of which some two have a number."""
    matrix, words = likeness_matrix(found, of), _WORDS[of]
    if len(matrix.order) < _LEAST_MODELS:
        return "a matrix needs three models, and fewer were set beside one another here"
    if any(value is not None for value in matrix.values.values()):
        return None
    if of == "directions" and any(pair.cosine is not None for pair in found.directions):
        return "no layer has a direction in every two models, so that no mean over layers would be of the same layers for all"
    return f"no two models have a {words.number}, {words.missing}"


def likeness_drawing(found: ChangeLikeness, of: LikenessOf = "weights") -> Drawing | None:
    """Returns what draws the figure; None if there is none, for a reason that `why_not_drawn` gives."""
    if why_not_drawn(found, of) is not None:
        return None
    return lambda: likeness_figure(found, of, caption=[likeness_caption(of)])


def likeness_caption(of: LikenessOf = "weights") -> str:
    """Says how to read the figure."""
    words = _WORDS[of]
    return (
        f"{words.what} Models are in the order of "
        f"average linkage clustering of 1 - {words.number}, with a number each, and a name at the left or below the matrix. Blue: alike; orange: opposite, with a dash in cells that have no number. Hatched: there is no {words.number}, {words.missing}."
    )


def likeness_description(found: ChangeLikeness, of: LikenessOf = "weights") -> str:
    """Says which models are most and least alike, with their likeness."""
    matrix = likeness_matrix(found, of)
    there = [(pair, value) for pair, value in matrix.values.items() if value is not None]
    if not there:
        return f"No two models have a {_WORDS[of].number}."
    (least, low), (most, high) = (pick(there, key=lambda item: item[1]) for pick in (min, max))
    named = [f"{found.models[i].name} and {found.models[j].name}" for i, j in (most, least)]
    return (
        f"A matrix of {len(matrix.order)} models. Most alike: {named[0]} ({high:.2f}); least: {named[1]} ({low:.2f})."
    )


def likeness_figure(found: ChangeLikeness, of: LikenessOf = "weights", *, caption: Sequence[str] = ()) -> Figure:
    """Draws the matrix of one kind of likeness. caption: sentences below it."""
    matrix = likeness_matrix(found, of)
    places = matrix.order
    lines = caption_lines_of(caption) if caption else []
    width, narrow = page_width_in(), is_narrow()
    numbers = [str(number) for number in range(1, len(places) + 1)]
    names = [f"{number} {one_line(_name(found, place))}" for number, place in zip(numbers, places, strict=True)]
    whole = text_width_pt(names, NOTE_PT) <= 72 * width * _NAME_SHARE
    labels = [without_formulas(name) for name in names] if whole else numbers
    side = min(
        width - text_width_pt(labels, NOTE_PT) / 72 - (0.15 if narrow else 0.7),
        MOST_HEIGHT_IN - 1.6,
        0.34 * len(places),
    )
    figure = Figure()
    axes = figure.add_subplot()
    _draw(axes, _values(matrix), labels)
    if not whole:
        lines = [*_key(found, places, MOST_HEIGHT_IN - max(side, 1.2) - 1.2 - LINE_IN * len(lines)), *lines]
    bar = figure.colorbar(
        axes.images[0],
        ax=axes,
        location="bottom" if narrow else "right",
        aspect=30,
        fraction=0.05,
        pad=0.03,
        ticks=[-1, 0, 1],
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label(_WORDS[of].bar if narrow or side > _LONG_IN else _WORDS[of].number)
    figure.set_size_inches(width, max(side, 1.2) + 0.35 + (0.55 if narrow else 0.0) + put_caption(figure, lines))
    return figure


def _key(found: ChangeLikeness, places: Sequence[int], height_in: float) -> list[str]:
    """The models behind the numbers, those of one task and method together, in lines that take no more than this height."""
    width = 72 * page_width_in() - 14
    models = [found.models[place] for place in places]
    parts = [(method_title(m.method), task_title(m.task)) if m.method and m.task else (m.name,) for m in models]
    every = [list(dict.fromkeys(part[at] for part in parts if at < len(part))) for at in range(2)]
    share = 0.38 if every[1] else 0.8
    short = [dict(zip(of, fitted_names(of, share * width), strict=True)) for of in every]
    of: dict[str, list[str]] = {}
    for number, (model, part) in enumerate(zip(models, parts, strict=True), 1):
        name = ", ".join(short[at][word] for at, word in reversed(list(enumerate(part))))
        of.setdefault(name, []).append(f"{number} ({model.seed})" if len(part) > 1 else str(number))
    seeds = ", with seeds in brackets" if any(len(part) > 1 for part in parts) else ""
    lines = [f"Numbers of the models{seeds}:"]
    for name, numbers in of.items():
        lines += wrapped(f"{name}: {', '.join(numbers)}", width, NOTE_PT)
    most = max(2, int(height_in / LINE_IN))
    return lines if len(lines) <= most else [*lines[: most - 1], "… the files of results name the others"]


def _draw(axes: Axes, values: NDArray[np.float64], labels: Sequence[str]) -> None:
    count = len(values)
    axes.imshow(values, cmap=LIKENESS, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(np.isnan(values)):
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor=GREY, hatch=HATCH, linewidth=0)
        )
    numbers = CellNumbers()
    numbers.write(axes, count, count, (
        CellNumber(row, column, two_decimals(value), LIKENESS(float(1 + value) / 2))
        for (row, column), value in np.ndenumerate(values) if np.isfinite(value) and row != column
    ))  # fmt: skip
    rows, columns = np.nonzero(values < _OPPOSITE)
    numbers.mark_instead(
        axes, columns.tolist(), rows.tolist(), "_", color="black", markersize=min(4.0, 90 / count), markeredgewidth=0.7
    )
    side_pt = 72 * min(page_width_in(), 0.34 * count) * 0.7
    down = range(0, count, -(-count // max(1, int(side_pt / (NOTE_PT + 1.5)))))
    across = range(0, count, -(-count // max(1, int(side_pt / (text_width_pt([str(count)], NOTE_PT) + 3)))))
    axes.set_xticks(across, [labels[i].split(" ", 1)[0] for i in across])
    axes.set_yticks(down, [labels[i] for i in down])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def two_decimals(value: float) -> str:
    """A cosine or correlation as its cell says it."""
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "\N{MINUS SIGN}")


def _values(matrix: LikenessMatrix) -> NDArray[np.float64]:
    at = {place: row for row, place in enumerate(matrix.order)}
    values = np.full((len(at), len(at)), np.nan)
    np.fill_diagonal(values, 1.0)
    for (first, second), value in matrix.values.items():
        if first in at and second in at and value is not None:
            values[at[first], at[second]] = values[at[second], at[first]] = value
    return values


def _name(found: ChangeLikeness, place: int) -> str:
    model = found.models[place]
    if model.task is None or model.method is None:
        return model.name
    return f"{task_title(model.task)}, {method_title(model.method)}, {model.seed}"
