"""Axes of p-values: evenly spaced powers of ten, small ones at the far end, with alpha and what a design cannot reach."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import Patch, Rectangle

from repdrift.core.hypotheses import LESS, TARGET
from repdrift.core.records.claims import Hypothesis, HypothesisTest
from repdrift.core.words import chosen_percent
from repdrift.report.report_data import ReportData
from repdrift.report.style import HATCH, INK, power_of_ten

HEADROOM = 1.3
EDGE = 0.05
"""Room before p = 1, as a share of the axis's upper end, so that marks there are whole."""
REACH_KEY = Patch(facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, label="out of this design's reach")
_REACH = {"hatch": HATCH, "fill": False, "edgecolor": "0.75", "linewidth": 0, "zorder": 0.6}


def place(p: float | None) -> float:
    """The place of a p-value on the axis, -log10 p; NaN for none. A permutation test counts the observed arrangement too, so p is never 0."""
    return float("nan") if p is None else 0.0 if p >= 1 else float(-np.log10(p))


def p_axis(axis: Axis, top: float) -> None:
    """Name the powers of ten up to `top`."""
    every = 1 if top < 6 else 2
    ticks = range(0, int(top) + 1, every)
    axis.set_ticks([float(tick) for tick in ticks], [power_of_ten(10.0**-tick) for tick in ticks])


def alpha_line(axes: Axes, alpha: float, *, upright: bool) -> None:
    """Draw a dashed line at alpha."""
    (axes.axvline if upright else axes.axhline)(place(alpha), color=INK, linewidth=0.9, linestyle="--", zorder=1.2)


def out_of_reach(axes: Axes, smallest: float | None, top: float, row: float | None = None) -> None:
    """Hatch the p-values that the design cannot give: to the right in one row, or above, over all layers."""
    if smallest is None or place(smallest) >= top:
        return
    edge = place(smallest)
    if row is None:
        left, right = axes.get_xlim()
        axes.add_patch(Rectangle((left, edge), right - left, top - edge, **_REACH))
    else:
        axes.add_patch(Rectangle((edge, row - 0.35), top - edge, 0.7, **_REACH))


def short_claim(hypothesis: Hypothesis, data: ReportData) -> str:
    """A claim about a method in a few words."""
    target = chosen_percent(data.results.study.target_reduction)
    return {LESS: "drifts less", TARGET: f"drifts at least {target} less"}[hypothesis]


def smallest_of(test: HypothesisTest) -> float | None:
    """The smallest p on which the verdict of a test could have rested."""
    return test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue
