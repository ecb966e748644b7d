"""Drift by layer in one line of marks, on a scale that all rows of a table share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repdrift.core.words import layers_named, short_number
from repdrift.report.glance.screen import Screen


@dataclass(frozen=True)
class SparkScale:
    """The scale of all sparklines of a table: from 0 to `top`, and how many layers share a mark."""

    top: float
    layers_per_mark: int = 1
    has_gaps: bool = False

    def sparkline(self, drifts: Sequence[float | None], screen: Screen) -> str:
        """Returns one mark for each layer, or for the largest of a few neighbours; a mark of its own where there is no value."""
        step = self.layers_per_mark
        groups = [drifts[start : start + step] for start in range(0, len(drifts), step)]
        return "".join(self._mark(group, screen) for group in groups)

    def _mark(self, group: Sequence[float | None], screen: Screen) -> str:
        known = [value for value in group if value is not None and not math.isnan(value)]
        if not known:
            return screen.gap
        share = max(known) / self.top if self.top > 0 else 0.0
        last = len(screen.marks) - 1
        return screen.marks[min(last, max(0, math.floor(share * len(screen.marks))))]

    def in_words(self, layers: Sequence[int], screen: Screen) -> str:
        """Says how the marks are read: which layers, the two ends of the scale, and that all rows share it."""
        where = layers_named(layers)
        if self.top <= 0:
            said = f"by layer: {where}, no drift above 0"
        else:
            low, high = screen.marks[0], screen.marks[-1]
            said = (
                f"by layer: {where}, from {low} (0) to {high} ({short_number(self.top)}), one linear scale for all rows"
            )
        if self.layers_per_mark > 1:
            said += f", each mark the largest of {self.layers_per_mark} layers"
        return said + (f"; {screen.gap} has no value" if self.has_gaps else "")


def spark_scale(rows: Iterable[Sequence[float | None]], room: int) -> SparkScale:
    """Returns the scale for the sparklines of these rows. room: the most marks of one."""
    found = [list(row) for row in rows]
    known = [value for row in found for value in row if value is not None and not math.isnan(value)]
    n_layers = max((len(row) for row in found), default=0)
    step = max(1, math.ceil(n_layers / max(1, room)))
    gaps = any(value is None or math.isnan(value) for row in found for value in row)
    return SparkScale(max(known, default=0.0), step, gaps)
