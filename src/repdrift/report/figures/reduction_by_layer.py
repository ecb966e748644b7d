"""Drift reduction by layer, over all tasks, of every method that is compared with the reference."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.claim_parts import OVER, interval_over
from repdrift.core.hypotheses import LESS
from repdrift.core.records.claims import Interval, IntervalSource
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, counted, method_title, percent
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, no_comparison, register
from repdrift.report.figures.reduction import BOUNDS
from repdrift.report.panels import legend_above
from repdrift.report.report_data import ReportData, layers_with
from repdrift.report.style import FAINT, INK, layer_axis, method_look, method_names

_PANEL_IN = 2.1


def draw(data: ReportData) -> Figure:
    """A line for each method, with a band where there is one method; full marks are layers in which it is supported that it drifts less."""
    figure = Figure(figsize=(page_width_in(), _PANEL_IN))
    axes = figure.add_subplot()
    draw_reductions(axes, data)
    names = method_names(data.results.study.contrasted)
    keys = [
        Line2D([], [], linewidth=1.2, markersize=3.8, label=names[method], **method_look(method, data.methods).line)
        for method in data.results.study.contrasted
    ]
    keys.append(
        Line2D(
            [],
            [],
            color=INK,
            linewidth=0.9,
            linestyle="--",
            label=f"target, {chosen_percent(data.results.study.target_reduction)}",
        )
    )
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys], most=2 if is_narrow() else 3)
    figure.set_figheight(_PANEL_IN + height)
    return figure


def draw_reductions(axes: Axes, data: ReportData) -> None:
    """Draw the lines into a panel, name its axes, and draw the target."""
    over = _band_over(data)
    size = max(2.0, min(4.0, 110 / len(data.layers)))
    for contrast in data.contrasts:
        look = method_look(contrast.results.study.comparison_method, data.methods)
        if over is not None:
            _band(axes, contrast, over, look.color)
        values = reductions_of(contrast)
        axes.plot(
            data.layers, np.clip(values, *BOUNDS), color=look.color, linestyle=look.dashes, linewidth=1.2, zorder=2
        )
        full = set(layers_with(contrast.layer_tests(LESS), "supported"))
        for layer, value in zip(data.layers, values, strict=True):
            if not np.isfinite(value):
                continue
            marker = "v" if value < BOUNDS[0] else "^" if value > BOUNDS[1] else look.marker
            face = look.color if layer in full else "white"
            axes.plot(layer, np.clip(value, *BOUNDS), marker, color=look.color, markerfacecolor=face, markersize=size, markeredgewidth=0.8, clip_on=False,
                      zorder=2.5)  # fmt: skip
    target = 100 * data.results.study.target_reduction
    low, high = min(0.0, float(axes.dataLim.y0)), max(target, float(axes.dataLim.y1))
    low, high = (low, high) if np.isfinite([low, high]).all() else (0.0, target)
    axes.set_ylim(low - 0.07 * (high - low), high + 0.07 * (high - low))
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.axhline(target, color=INK, linewidth=0.9, linestyle="--", zorder=0.5)
    layer_axis(axes, data.layers)
    axes.set_ylabel("drift reduction (%)")
    if not np.isfinite([reductions_of(contrast) for contrast in data.contrasts]).any():
        axes.text(
            0.5,
            0.5,
            "not defined: the reference does not drift",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=7,
        )


def reductions_of(contrast: ReportData) -> np.ndarray:
    """The reductions over all tasks by layer in percent, (layers,); NaN where there is none."""
    found = [contrast.reduction(ALL_TASKS, layer) for layer in contrast.layers]
    return 100 * np.array([np.nan if r is None or r.reduction is None else r.reduction for r in found], dtype=float)


def _band_over(data: ReportData) -> IntervalSource | None:
    """The widest claim for which any layer has an interval; None with several methods, whose bands would cover each other."""
    rows = [r for r in data.results.reductions if r.task == ALL_TASKS and r.layer is not None]
    return (
        None if data.several_arms else next((over for over in OVER if any(interval_over(r, over) for r in rows)), None)
    )


def _band(axes: Axes, data: ReportData, over: IntervalSource, color: str) -> None:
    ends = np.array([_ends(interval_over(data.reduction(ALL_TASKS, layer), over)) for layer in data.layers])
    low, high = np.clip(100 * ends, *BOUNDS).T
    if len(data.layers) == 1:
        axes.vlines(data.layers, low, high, linewidth=8, color=color, alpha=0.2)
    else:
        axes.fill_between(data.layers, low, high, color=color, alpha=0.2, linewidth=0)


def _ends(interval: Interval | None) -> tuple[float, float]:
    return (np.nan, np.nan) if interval is None else (interval.low, interval.high)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study, over = data.results.study, _band_over(data)
    band = "" if over is None else f" Band: the two-sided {chosen_percent(study.confidence)} interval {OVER[over]}."
    corrected = "over layers and methods" if data.several_arms else "over layers"
    return (
        f"Reduction by layer, over all tasks: 1 - drift of {'a method' if data.several_arms else method_title(study.comparison_method)} / drift of "
        f"{method_title(study.reference_method)}, from means over seeds.{band} A full mark is a layer in which it is supported that the method drifts less, corrected "
        f"{corrected}. Dashed: the target. Triangles at {BOUNDS[0]:g} and {BOUNDS[1]:g} % stand for what lies beyond. Ratios are unstable where the reference hardly "
        "drifts, as in the lowest layers; a layer without a mark has none."
    )


def describe(data: ReportData) -> str:
    """Says for each method in which layers the reduction is largest and smallest, and in how many it is supported."""
    parts: list[str] = []
    for contrast in data.contrasts:
        values = reductions_of(contrast)
        held = layers_with(contrast.layer_tests(LESS), "supported")
        known = [
            (value, layer) for value, layer in zip(values.tolist(), data.layers, strict=True) if np.isfinite(value)
        ]
        name = method_title(contrast.results.study.comparison_method)
        if not known:
            parts.append(f"{name}: not defined in any layer")
            continue
        (most, where), (least, elsewhere) = max(known), min(known)
        parts.append(
            f"{name}: largest in layer {where} ({percent(most / 100)}), smallest in layer {elsewhere} ({percent(least / 100)}), supported in {len(held)} of "
            f"{counted(len(data.layers), 'layer')}"
        )
    return f"Drift reduction by layer. {'; '.join(parts)}."


register(
    FigureSpec(
        "reduction_by_layer", 3.5, "How much less drift, layer by layer", caption, describe, draw, absent=no_comparison
    )
)
