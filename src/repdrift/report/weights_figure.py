"""The figures of the weights: relative change, and intruders, by kind of module (rows) and layer (columns), for every model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.weights import MODULE_KINDS, ModelWeightsMoved, ModuleKind, WeightMoved
from repdrift.core.shared_paths import shareable
from repdrift.core.weight_groups import joined
from repdrift.core.weights_words import group_title
from repdrift.report.captioned_figure import LINE_IN, caption_lines_of, put_caption
from repdrift.report.figure_size import page_width_in
from repdrift.report.heat_cells import heat_scale
from repdrift.report.panels import PanelPlan
from repdrift.report.rendering import Drawing
from repdrift.report.weight_panels import WeightPanel, draw_weight_panels, nothing_left_out, pattern_words, weight_plan

FIGURE_NAME = "weight_changes"
INTRUDERS_NAME = "intruder_dimensions"
_Value = Literal["change", "intruders"]
_WORDS: dict[_Value, tuple[str, str]] = {
    "change": ("change of the weights, ||dW|| / ||W||", "not changed"),
    "intruders": ("intruder dimensions", "none"),
}
"""The name of the scale, and the words for a value of 0."""
_CAPTION_LINES = 5


def weights_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the changes of the weights; None if no weight of any model changed."""
    found = _found(result)
    return partial(_figure, found, "change") if found else None


def intruders_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the intruder dimensions; None if no matrix has singular vectors that were compared."""
    found = _found(result)
    known = any(at.intruders is not None for _, model in found for at in model.weights)
    return partial(_figure, found, "intruders") if known else None


def _found(result: Comparison) -> list[tuple[str, ModelWeightsMoved]]:
    """The models that changed some weight of a block, by name."""
    return [
        (model.name, model.moved.weights)
        for model in shareable(result).compared
        if model.moved is not None
        and model.moved.weights is not None
        and any(_moved([at]) and at.layer is not None for at in model.moved.weights.weights)
    ]


def _figure(found: Sequence[tuple[str, ModelWeightsMoved]], value: _Value) -> Figure:
    figure = Figure()
    panels, plan = _panels(found, value), _plan(found)
    bar, none = _WORDS[value]
    height = draw_weight_panels(figure, panels, plan, bar=bar, none=none)
    figure.set_size_inches(page_width_in(), height + put_caption(figure, caption_lines_of(_caption(found, value))))
    return figure


def _plan(found: Sequence[tuple[str, ModelWeightsMoved]]) -> PanelPlan:
    return weight_plan(len(found), len(_kinds(found, "change")), besides_in=1.2 + LINE_IN * _CAPTION_LINES)


def _kinds(found: Sequence[tuple[str, ModelWeightsMoved]], value: _Value) -> list[ModuleKind]:
    """Kinds of modules that some model changed; of intruders, those that are matrices."""
    moved: list[ModuleKind] = [
        kind for kind in MODULE_KINDS if any(_moved(_of(model.weights, kind, None)) for _, model in found)
    ]
    if value == "change":
        return moved
    return [
        kind for kind in moved if any(at.intruders is not None for _, m in found for at in _of(m.weights, kind, None))
    ]


def _untrained(model: ModelWeightsMoved, kinds: Sequence[ModuleKind]) -> list[int]:
    """The rows of kinds that the model does not train: it has no change of any, and none was left out of the comparison."""
    if not nothing_left_out(model.not_compared):
        return []
    return [row for row, kind in enumerate(kinds) if not _of(model.weights, kind, None)]


def _panels(found: Sequence[tuple[str, ModelWeightsMoved]], value: _Value) -> list[WeightPanel]:
    kinds, of = _kinds(found, value), _change if value == "change" else _intruders
    return [
        WeightPanel(
            name,
            [group_title(kind) for kind in kinds],
            _layers(model),
            _grid(model, kinds, of),
            _untrained(model, kinds),
        )
        for name, model in found
    ]


def _caption(found: Sequence[tuple[str, ModelWeightsMoved]], value: _Value) -> list[str]:
    first, plan = found[0][1], _plan(found)
    left = plan.says_what_is_left_out("weights.parquet has all")
    panels = _panels(found, value)[: plan.shown]
    grids = np.concatenate([panel.grid.ravel() for panel in panels])
    patterns = pattern_words(panels, "nothing changed" if value == "change" else "none")
    ends = (
        f"{patterns} Kinds that no model changed are left out; weights outside the blocks are in weights.parquet.{left}"
    )
    if value == "change":
        return [
            "Change of the weights of a kind in a layer, joined, relative to their size; the lighter, the larger."
            f"{heat_scale(grids).in_words} {ends}"
        ]
    return [
        f"Intruder dimensions: of the {first.leading} leading left singular vectors of each tuned matrix, those whose |cosine| with every left singular vector of the "
        f"base is below {first.intruder_cosine:g}; sum over the matrices of a kind in a layer; the lighter, the more. {ends}"
    ]


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
