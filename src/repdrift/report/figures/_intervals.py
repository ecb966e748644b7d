"""The look of intervals. Width, ends and shade tell intervals over models, over samples and over both apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from repdrift.core.records.claims import IntervalSource, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent
from repdrift.report.report_data import ReportData, interval_over
from repdrift.report.style import INK
from repdrift.report.wording import OVER

BOUNDS = (-100.0, 150.0)
"""Percent. Ratios are very large if the reference hardly drifts; values beyond the bounds are marked at the edge."""
_OFFSETS = {"models and samples": -0.14, "models": 0.0, "samples": 0.14}
_CAP = 0.06
_BAND_ALPHA = {"models and samples": 0.16, "models": 0.16, "samples": 0.3}


def draw_intervals(axes: Axes, position: float, reduction: Reduction, color: str) -> None:
    """Draw the intervals of a reduction side by side around a position of the axis, with a triangle for an end beyond the bounds."""
    alone = len(reduction.intervals) == 1
    for interval in reduction.intervals:
        at = position + (0.0 if alone else _OFFSETS[interval.over])
        low, high = 100 * interval.low, 100 * interval.high
        shown = np.clip((low, high), *BOUNDS)
        line = _line(interval.over, color)
        line.set_data([at, at], shown)
        axes.add_line(line)
        axes.update_datalim([(at, end) for end in shown])
        for edge, marker, beyond in ((BOUNDS[0], "v", low < BOUNDS[0]), (BOUNDS[1], "^", high > BOUNDS[1])):
            if beyond:
                axes.plot(at, edge, marker, color=line.get_color(), markersize=3, markeredgewidth=0)
        if interval.over == "models and samples":
            for end in [end for end in (low, high) if BOUNDS[0] <= end <= BOUNDS[1]]:
                axes.plot([at - _CAP, at + _CAP], [end, end], color=color, linewidth=line.get_linewidth())


def band_sources(data: ReportData) -> list[IntervalSource]:
    """The kinds of interval that are drawn as bands by layer: the widest claim that is there, and samples."""
    rows = [r for r in data.results.reductions if r.task == ALL_TASKS and r.layer is not None]
    at_hand: list[IntervalSource] = [over for over in OVER if any(interval_over(r, over) is not None for r in rows)]
    return [over for over in at_hand if over == "samples" or over == at_hand[0]]


def draw_bands(axes: Axes, data: ReportData, color: str) -> None:
    """Draw the intervals of the reduction over all tasks by layer, with a gap at a layer that has none."""
    found = [data.reduction(ALL_TASKS, layer) for layer in data.layers]
    for over in band_sources(data):
        ends = np.array([_ends(r, over) for r in found])
        low, high = np.minimum(100 * ends, BOUNDS[1]).T  # values below are cut by the axis, like the line
        if len(data.layers) == 1:
            axes.vlines(
                data.layers, low, high, linewidth=6 if over == "samples" else 10, color=color, alpha=_BAND_ALPHA[over]
            )
        else:
            axes.fill_between(data.layers, low, high, color=color, alpha=_BAND_ALPHA[over], linewidth=0)


def interval_keys(drawn: Sequence[IntervalSource], data: ReportData, color: str) -> list[tuple[Artist, str]]:
    """Entries for the legend: a line for every kind of interval drawn by task, a patch for every band."""
    confidence = chosen_percent(data.results.study.confidence)
    lines: list[tuple[Artist, str]] = [
        (_line(over, color), f"{confidence} over {over}") for over in OVER if over in drawn
    ]
    bands = [
        (Patch(facecolor=color, alpha=_BAND_ALPHA[over], linewidth=0), f"by layer: {confidence} over {over}")
        for over in band_sources(data)
    ]
    return lines + bands


def _ends(reduction: Reduction | None, over: IntervalSource) -> tuple[float, float]:
    found = interval_over(reduction, over)
    return (np.nan, np.nan) if found is None else (found.low, found.high)


def _line(over: IntervalSource, color: str) -> Line2D:
    """An empty line in the style of the interval."""
    width = 2.4 if over == "models" else 1.0
    shade, alpha = (INK, 1.0) if over == "samples" else (color, 0.55 if over == "models" else 1.0)
    return Line2D([], [], color=shade, linewidth=width, alpha=alpha, solid_capstyle="butt", zorder=1.8)
