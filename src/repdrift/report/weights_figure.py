"""The figure of the weights: relative change and intruders by kind of module (rows) and layer (columns), for every model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.weights import MODULE_KINDS, ModelWeightsMoved, ModuleKind, WeightMoved
from repdrift.core.shared_paths import shareable
from repdrift.core.weight_groups import joined
from repdrift.core.weights_words import group_title
from repdrift.report.captioned_figure import caption_lines_of, captioned_figure
from repdrift.report.labels import plain
from repdrift.report.rendering import Drawing, png_and_pdf_files
from repdrift.report.weight_panels import draw_panel, log_scale

FIGURE_NAME = "weight_changes"
_MOST_MODELS = 6
_ROW_IN = 0.2


def weights_figures(result: Comparison) -> dict[str, bytes]:
    """Draws the figure. Returns the contents of a PNG and a PDF file by name; nothing if no weight of any model changed."""
    return png_and_pdf_files(FIGURE_NAME, weights_drawing(result))


def weights_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no weight of any model changed."""
    shared = shareable(result)
    found = [
        (model.name, model.moved.weights)
        for model in shared.compared
        if model.moved is not None
        and model.moved.weights is not None
        and any(_moved([at]) and at.layer is not None for at in model.moved.weights.weights)
    ]
    if not found:
        return None
    return lambda: _figure(found)


def _figure(found: Sequence[tuple[str, ModelWeightsMoved]]) -> Figure:
    shown = found[:_MOST_MODELS]
    kinds: list[list[ModuleKind]] = [
        [kind for kind in MODULE_KINDS if _moved(_of(model.weights, kind, None))] for _, model in shown
    ]
    caption = caption_lines_of(_caption(found))
    heights = [0.75 + _ROW_IN * len(of_model) for of_model in kinds]
    figure, parts = captioned_figure(heights, caption, spare=0.3)
    changes = [_grid(model, of_model, _change) for (_, model), of_model in zip(shown, kinds, strict=True)]
    scale = log_scale(changes)
    most = max(
        1.0, *(float(np.nanmax(_grid(m, k, _intruders), initial=0.0)) for (_, m), k in zip(shown, kinds, strict=True))
    )
    for part, (name, model), of_model, change in zip(parts, shown, kinds, changes, strict=False):
        left, right = part.subplots(1, 2, sharey=True)
        names = [group_title(kind) for kind in of_model]
        draw_panel(left, change, scale, _layers(model), names, f"{plain(name)}: ||dW|| / ||W||")
        draw_panel(
            right,
            _grid(model, of_model, _intruders),
            Normalize(0.0, most),
            _layers(model),
            names,
            "intruder dimensions",
        )
    figure.suptitle("Which weights changed", fontsize=9)
    return figure


def _caption(found: Sequence[tuple[str, ModelWeightsMoved]]) -> list[str]:
    first = found[0][1]
    said = [
        "Left: change of the weights of a kind in a layer, joined, relative to their size (0: nothing changed). Right: of the "
        f"{first.leading} leading left singular vectors of each tuned matrix, those whose |cosine| with every left singular vector of the base "
        f"is below {first.intruder_cosine:g}. Hatched: no value. Kinds that did not change are left out; weights outside the blocks are in weights.parquet."
    ]
    if len(found) > _MOST_MODELS:
        said.append(f"The first {_MOST_MODELS} of {len(found)} models are shown; weights.parquet has all.")
    return said


def _layers(model: ModelWeightsMoved) -> list[int]:
    return sorted({at.layer for at in model.weights if at.layer is not None})


def _of(weights: Sequence[WeightMoved], kind: ModuleKind, layer: int | None) -> list[WeightMoved]:
    return [at for at in weights if at.kind == kind and at.layer is not None and layer in (None, at.layer)]


def _moved(weights: Sequence[WeightMoved]) -> bool:
    return any(at.change_norm > 0.0 for at in weights)


def _grid(
    model: ModelWeightsMoved, kinds: Sequence[ModuleKind], value: Callable[[list[WeightMoved]], float]
) -> NDArray[np.float64]:
    return np.array([[value(_of(model.weights, kind, layer)) for layer in _layers(model)] for kind in kinds])


def _change(weights: list[WeightMoved]) -> float:
    change = joined("", weights).relative_change if weights else None
    return float("nan") if change is None else change


def _intruders(weights: list[WeightMoved]) -> float:
    known = [at.intruders for at in weights if at.intruders is not None]
    return float(sum(known)) if known else float("nan")
