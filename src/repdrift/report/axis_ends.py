"""Data beyond the ends of an axis: lines and bands are cut exactly where they cross an end, and a triangle says that they go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BEYOND = {-1: "v", 1: "^"}
"""Marks at the lower and the upper end of an upright axis, for what lies beyond."""


@dataclass(frozen=True)
class AxisEnds:
    """The ends of the frame of an axis, in data units."""

    low: float
    high: float

    def side(self, value: float) -> int:
        """Returns -1 for a value below the frame, 1 for one above it, 0 for one inside it and for NaN."""
        return -1 if value < self.low else 1 if value > self.high else 0

    def clip(self, values: Floats) -> Floats:
        """The values, those beyond an end at that end."""
        return np.clip(values, self.low, self.high)


def ends_of(values: Floats, bounds: tuple[float, float], hold: Sequence[float], room: float = 0.07) -> AxisEnds:
    """Returns ends that hold all finite values as far as the bounds go, and always those of `hold`, with room at both ends.

    room: as a share of what lies between the ends.
    """
    every = np.concatenate([np.clip(values[np.isfinite(values)], *bounds), np.asarray(hold, dtype=np.float64)])
    low, high = float(every.min()), float(every.max())
    edge = room * ((high - low) or 1.0)
    return AxisEnds(low - edge, high + edge)


def cut_line(x: Sequence[float], y: Floats, ends: AxisEnds) -> tuple[Floats, Floats]:
    """Returns a line that follows `y` to the place where it crosses an end, and then that end."""
    places, (line,) = _with_crossings(x, [y], ends)
    return places, ends.clip(line)


def cut_band(x: Sequence[float], low: Floats, high: Floats, ends: AxisEnds) -> tuple[Floats, Floats, Floats]:
    """Returns a band whose sides follow `low` and `high` to the places where they cross an end, and then that end."""
    places, (below, above) = _with_crossings(x, [low, high], ends)
    return places, ends.clip(below), ends.clip(above)


def _with_crossings(x: Sequence[float], lines: Sequence[Floats], ends: AxisEnds) -> tuple[Floats, list[Floats]]:
    """Adds the places at which straight lines between neighbouring points cross an end."""
    places = np.asarray(x, dtype=np.float64)
    added: list[float] = []
    for y in lines:
        for end in (ends.low, ends.high):
            for at in np.flatnonzero((y[:-1] - end) * (y[1:] - end) < 0):
                share = (end - y[at]) / (y[at + 1] - y[at])
                added.append(float(places[at] + share * (places[at + 1] - places[at])))
    every = np.union1d(places, added)
    return every, [np.interp(every, places, y) for y in lines]


def mark_beyond(
    axes: Axes, x: Sequence[float], low: Floats, high: Floats, ends: AxisEnds, *, color: str, size: float
) -> None:
    """Draws a triangle at the frame where an interval goes on beyond it."""
    for place, *sides in zip(x, low, high, strict=True):
        for side in {ends.side(value) for value in sides} - {0}:
            axes.plot(
                place, ends.low if side < 0 else ends.high, BEYOND[side], color=color, markersize=size, markeredgewidth=0,
                clip_on=False, zorder=2.4,
            )  # fmt: skip
