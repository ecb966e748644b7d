"""Drift reduction of one method against the other: by task and overall, and by layer, with the target."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.records.results import Reduction
from repdrift.report.figures import FigureSpec, register
from repdrift.report.style import FULL_WIDTH_IN, GREY, layer_axis, method_color, method_title, plain
from repdrift.report.tables import ReportData

_ALL = "all"
_CUT_BELOW = -150


def draw(data: ReportData) -> Figure:
    """Left: by task and over all tasks, with the one-sided lower bound; right: by layer."""
    figure = Figure(figsize=(FULL_WIDTH_IN, 2.9))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _by_task(left, data)
    _by_layer(right, data)
    return figure


def _by_task(axes: Axes, data: ReportData) -> None:
    study = data.results.study
    shown = [r for r in data.results.reductions if r.layer is None and r.reduction is not None]
    color = method_color(study.comparison_method, data.methods)
    for place, r in enumerate(shown):
        value = 100 * (r.reduction or 0.0)
        if r.reduction_low is not None:
            low = 100 * r.reduction_low
            axes.plot([place, place], [max(low, _CUT_BELOW), value], color=color, linewidth=1.6, solid_capstyle="butt")
            axes.plot([place - 0.12, place + 0.12], [low, low], color=color, linewidth=1.6)
        seeds = _paired_seeds(r)
        axes.plot(
            np.full(len(seeds), place + 0.2), seeds, "o", color=GREY, markersize=2.6, markeredgewidth=0, alpha=0.8
        )
        axes.plot(place, value, "D" if r.task == _ALL else "o", color=color, markersize=6 if r.task == _ALL else 5)
    axes.set_xticks(
        range(len(shown)), ["all tasks" if r.task == _ALL else plain(r.task) for r in shown], rotation=20, ha="right"
    )
    axes.set_xlim(-0.6, len(shown) - 0.4)
    _reference_lines(axes, study.target_reduction)
    axes.set_ylabel(f"drift reduction of {method_title(study.comparison_method)} (%)")
    axes.set_title("by task")


def _by_layer(axes: Axes, data: ReportData) -> None:
    study = data.results.study
    for task in [*data.tasks, _ALL]:
        rows = sorted(
            (r for r in data.results.reductions if r.task == task and r.layer is not None and r.reduction is not None),
            key=lambda r: r.layer or 0,
        )
        if not rows or (task == _ALL and len(data.tasks) == 1):
            continue
        values = [100 * (r.reduction or 0.0) for r in rows]
        layers = [r.layer or 0 for r in rows]
        if task == _ALL:
            axes.plot(
                layers,
                values,
                color=method_color(study.comparison_method, data.methods),
                linewidth=2.2,
                label="all tasks",
            )
        else:
            dashes = ("-", "--", "-.", ":")[data.tasks.index(task) % 4]
            axes.plot(layers, values, color=GREY, linewidth=0.9, linestyle=dashes, label=plain(task))
    low, high = axes.get_ylim()
    cut = low < _CUT_BELOW  # where the reference hardly drifts, a ratio explodes; the title says where it was cut
    if cut:
        axes.set_ylim(_CUT_BELOW, high)
    _reference_lines(axes, study.target_reduction)
    layer_axis(axes, data.layers)
    axes.set_title(f"by layer (below {_CUT_BELOW} % cut off)" if cut else "by layer")
    axes.legend(fontsize=7, ncols=2)


def _paired_seeds(r: Reduction) -> list[float]:
    pairs = [(r.reference_by_seed.get(seed), value) for seed, value in r.comparison_by_seed.items()]
    return [100 * (1 - c / f) for f, c in pairs if f is not None and c is not None and f > 0]


def _reference_lines(axes: Axes, target: float) -> None:
    axes.axhline(0, color="0.75", linewidth=0.7, zorder=0)
    axes.axhline(100 * target, color="black", linewidth=0.9, linestyle="--", zorder=0)
    axes.annotate(
        f"target {100 * target:g} %",
        (0, 100 * target),
        xycoords=("axes fraction", "data"),
        xytext=(2, 2),
        textcoords="offset points",
        fontsize=7,
    )


def caption(data: ReportData) -> str:
    """What is seen."""
    study = data.results.study
    return (
        f"Reduction = 1 - drift of {study.comparison_method} / drift of {study.reference_method}. Large marks: from means over seeds; "
        f"small grey points: single pairs of equal seed; bar: down to the one-sided {100 * (1 - study.alpha):g} % lower bound over trained "
        "models, absent where the number of models cannot give one. Above the dashed line: the target is met by the estimate; "
        "it is shown only if the bar stays above it too. Ratios are unstable where the reference hardly drifts (lowest layers)."
    )


register(FigureSpec("drift_reduction", 3, "How much less drift", caption, draw, needs_both_methods=True))
