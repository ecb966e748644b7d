"""Axes of p-values: evenly spaced powers of ten, p = 1 in the middle, small ones of a claim and of its opposite at the two ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import Patch, Rectangle

from repdrift.core.claim_parts import deciding_opposite_pvalue, deciding_pvalue
from repdrift.core.hypotheses import LESS, TARGET
from repdrift.core.records.claims import Hypothesis, HypothesisTest
from repdrift.core.words import chosen_percent, p_equals
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, HATCH, INK, power_of_ten

HEADROOM = 1.3
EDGE = 0.05
"""Room before p = 1, as a share of the axis's upper end, so that marks there are whole."""
REACH_KEY = Patch(facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, label="out of this design's reach")
_REACH = {"hatch": HATCH, "fill": False, "edgecolor": "0.75", "linewidth": 0, "zorder": 0.6}


@dataclass(frozen=True)
class PEnds:
    """The ends of an axis of p-values: a claim lies on its upper side, the opposite claim on its lower one, and p = 1 between them at 0.

    both: whether the axis has the lower side.
    """

    low: float
    high: float
    both: bool

    @property
    def span(self) -> float:
        """The length of the axis."""
        return self.high - self.low


def place(p: float | None) -> float:
    """The place of a p-value on the axis, -log10 p; NaN for none. A permutation test counts the observed arrangement too, so p is never 0."""
    return float("nan") if p is None else 0.0 if p >= 1 else float(-np.log10(p))


def opposite_place(p: float | None) -> float:
    """The place of the p of an opposite claim, on the other side of p = 1."""
    return -place(p)


def p_ends(alpha: float, pvalues: Iterable[float | None], opposite: Iterable[float | None]) -> PEnds:
    """Returns ends beyond alpha and every p, on both sides where some opposite claim has a p."""
    high = HEADROOM * max([place(alpha), *(place(p) for p in pvalues if p is not None)])
    there = [place(p) for p in opposite if p is not None]
    return PEnds(-HEADROOM * max([place(alpha), *there]) if there else -EDGE * high, high, bool(there))


def p_axis(axis: Axis, ends: PEnds, most: int = 8) -> None:
    """Name the powers of ten between the ends, at most so many of them."""
    whole = [int(ends.high), int(-ends.low) if ends.both else 0]
    every = next(step for step in range(1, 1000) if sum(side // step for side in whole) < most)
    ticks = range(-every * (whole[1] // every), whole[0] + 1, every)
    axis.set_ticks([float(tick) for tick in ticks], [power_of_ten(10.0 ** -abs(tick)) for tick in ticks])


def alpha_line(axes: Axes, alpha: float, ends: PEnds, *, upright: bool) -> None:
    """Draw a dashed line at alpha on each side, and a thin one at p = 1 between them."""
    draw = axes.axvline if upright else axes.axhline
    for side in (1, -1) if ends.both else (1,):
        draw(side * place(alpha), color=INK, linewidth=0.9, linestyle="--", zorder=1.2)
    if ends.both:
        draw(0, color=FAINT, linewidth=0.6, zorder=0.5)


def out_of_reach(axes: Axes, smallest: float | None, ends: PEnds, row: float | None = None) -> None:
    """Hatch the p-values that the design cannot give, of a claim and of its opposite: beside each other in one row, or over all layers."""
    if smallest is None:
        return
    edge = place(smallest)
    for low, high in ((edge, ends.high), *([(ends.low, -edge)] if ends.both else [])):
        if high <= low:
            continue
        if row is None:
            left, right = axes.get_xlim()
            axes.add_patch(Rectangle((left, low), right - left, high - low, **_REACH))
        else:
            axes.add_patch(Rectangle((low, row - 0.35), high - low, 0.7, **_REACH))


def short_claim(hypothesis: Hypothesis, data: ReportData) -> str:
    """A claim about a method in a few words."""
    target = chosen_percent(data.results.study.target_reduction)
    return {LESS: "drifts less", TARGET: f"drifts at least {target} less"}[hypothesis]


def opposite_claim(hypothesis: Hypothesis) -> str:
    """The opposite of a claim about a method in a few words."""
    return {LESS: "drifts more", TARGET: "falls short of it"}[hypothesis]


def sides_remark(hypothesis: Hypothesis, ends: PEnds) -> list[str]:
    """Says which side of a level axis is which, where it has two."""
    return ["right: the claim", f"left: {opposite_claim(hypothesis)}"] if ends.both else []


def both_ways(test: HypothesisTest) -> str:
    """The p of a claim, and that of the opposite, in words."""
    p, opposite = deciding_pvalue(test), deciding_opposite_pvalue(test)
    said = "no test" if p is None else p_equals(p)
    if opposite is None:
        return said
    return f"{said} (opposite: {p_equals(opposite)}{', shown' if test.verdict == 'rejected' else ''})"


def smallest_of(test: HypothesisTest) -> float | None:
    """The smallest p on which the verdict of a test could have rested."""
    return test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue
