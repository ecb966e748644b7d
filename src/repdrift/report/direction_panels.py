"""Panels on directions: shares of the change stacked by layer, and the size of the shift by layer, for comparisons and studies alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from repdrift.core.directions_words import KIND_HEADS
from repdrift.report.style import FAINT, GREY, HATCH, INK, layer_axis

COLORS = {"shift": "#0072B2", "rotation": "#E69F00", "scaling": "#CC79A7", "linear": "#56B4E9", "rest": "#dddddd"}
KEYS = [Patch(facecolor=COLORS[kind], edgecolor=INK, linewidth=0.3, label=head) for kind, head in KIND_HEADS.items()]
RANDOM_KEY = Line2D([], [], color=INK, linestyle="none", marker="_", markersize=7, label="shift, random change")

_MANY = 32
"""Layers from which on bars touch each other."""
Floats = NDArray[np.float64]


def stacked_shares(
    axes: Axes, layers: Sequence[int], shares: Mapping[str, Floats], random: Floats | None = None, *, room: float = 0.5
) -> None:
    """Draws one bar a layer, of the shares of all kinds; those below 0 hang below the axis, and a layer without shares is hatched.

    shares: by kind (L,), NaN where there are none. random: (L,) shares of a shift in a random change of the same size, each a dash. room: width of the panel as a share of the figure's.
    """
    up, down = np.zeros(len(layers)), np.zeros(len(layers))
    for kind, color in COLORS.items():
        values = np.nan_to_num(shares[kind])
        bottom = np.where(values >= 0, up, down)
        if len(layers) > _MANY:  # one shape, since so many bars take seconds
            edges = np.array([*layers, layers[-1] + 1], dtype=float) - 0.5
            axes.stairs(bottom + values, edges, baseline=bottom, fill=True, color=color, linewidth=0)
        else:
            axes.bar(layers, values, bottom=bottom, width=0.85, color=color, edgecolor=INK, linewidth=0.2)
        up, down = up + np.maximum(values, 0), down + np.minimum(values, 0)
    for layer, known in zip(layers, np.isfinite(shares["rest"]), strict=True):
        if not known:
            axes.bar([layer], [1.0], width=0.85, facecolor="none", edgecolor=FAINT, hatch=HATCH, linewidth=0.2)
    if random is not None:
        axes.plot(
            layers, random, color=INK, linestyle="none", marker="_", markersize=min(7, 150 / len(layers)), clip_on=False
        )
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_ylim(min(0.0, float(down.min())) - 0.02, max(1.0, float(up.max())) + 0.02)
    layer_axis(axes, layers, room)


def column(values: Sequence[float | None]) -> Floats:
    """Returns numbers as (L,), NaN where there is none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
