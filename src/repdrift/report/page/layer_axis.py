"""The axes of layers in charts, and the line that marks the layer that the reader chose."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import pandas as pd

CHOSEN_LAYER = "chosen_layer"
"""Parameter of a chart: the chosen layer, or null. The page sets it."""
LAYER_TITLE = "layer (0 is the first block)"
_MOST_LABELS = 12
"""Layers that are named along the cells of a matrix."""


def layer_axis(layers: pd.Series, field: str = "layer") -> alt.X:
    """The axis of layers as numbers, with room for the marks of the first and the last one."""
    low, high = (int(layers.min()), int(layers.max())) if len(layers) else (0, 0)
    margin = max(0.5, 0.02 * (high - low))
    # Where layers are few, the scale's own ticks lie between them, and a whole number would stand at a half.
    ticks = list(range(low, high + 1)) if high - low < _MOST_LABELS else alt.Undefined
    return alt.X(
        f"{field}:Q",
        title=LAYER_TITLE,
        axis=alt.Axis(tickMinStep=1, format="d", grid=False, values=ticks),
        scale=alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False),
    )


def layer_cells(layers: Iterable[int], field: str = "layer", title: str = LAYER_TITLE) -> alt.X:
    """The axis of layers as the columns of a matrix."""
    return alt.X(f"{field}:O", title=title, axis=_cell_axis(layers))


def layer_rows(layers: Iterable[int], field: str, title: str) -> alt.Y:
    """The axis of layers as the rows of a matrix, the first one at the bottom."""
    return alt.Y(f"{field}:O", title=title, sort="descending", axis=_cell_axis(layers))


def _cell_axis(layers: Iterable[int]) -> alt.Axis:
    there = sorted({int(layer) for layer in layers})
    every = max(1, -(-len(there) // _MOST_LABELS))
    return alt.Axis(labelAngle=0, ticks=False, domain=False, values=there[::every])


def chosen_layer() -> alt.Parameter:
    """The parameter that holds the chosen layer."""
    return alt.param(name=CHOSEN_LAYER, value=None)


def chosen_rule(base: alt.Chart, x: alt.X) -> alt.Chart:
    """A line at the chosen layer."""
    return (
        base.transform_filter(f"datum.layer === {CHOSEN_LAYER}")
        .transform_aggregate(rows="count()", groupby=["layer"])
        .mark_rule(strokeWidth=6, opacity=0.18, color="#858585")
        .encode(x)
    )
