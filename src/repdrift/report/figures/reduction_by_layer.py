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
from repdrift.core.words import chosen_percent, counted, first_apart, method_title, percent
from repdrift.report.axis_ends import BEYOND, AxisEnds, cut_band, cut_line, ends_of, mark_beyond
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, no_comparison, register
from repdrift.report.figures.reduction import BOUNDS
from repdrift.report.panels import legend_above
from repdrift.report.report_data import ReportData, layers_with
from repdrift.report.style import FAINT, INK, layer_axis, method_look, method_names, note

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
    if beyond_words(data):
        keys.append(Line2D([], [], color=INK, marker=BEYOND[-1], markersize=4, linewidth=0, label="goes on beyond"))
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys], most=2 if is_narrow() else 3)
    figure.set_figheight(_PANEL_IN + height)
    return figure


def draw_reductions(axes: Axes, data: ReportData) -> None:
    """Draw the lines into a panel, name its axes, and draw the target. Triangles at the frame stand for what lies beyond it."""
    ends, over = axis_of(data), _band_over(data)
    size = max(2.0, min(4.0, 110 / len(data.layers)))
    for contrast in data.contrasts:
        look = method_look(contrast.results.study.comparison_method, data.methods)
        if over is not None:
            _band(axes, contrast, over, look.color, ends)
        values = reductions_of(contrast)
        axes.plot(
            *cut_line(data.layers, values, ends), color=look.color, linestyle=look.dashes, linewidth=1.2, zorder=2
        )
        full = set(layers_with(contrast.layer_tests(LESS), "supported"))
        for layer, value in zip(data.layers, values, strict=True):
            if not np.isfinite(value):
                continue
            marker = BEYOND.get(ends.side(value), look.marker)
            face = look.color if layer in full else "white"
            axes.plot(layer, ends.clip(value), marker, color=look.color, markerfacecolor=face, markersize=size, markeredgewidth=0.8, clip_on=False,
                      zorder=2.5)  # fmt: skip
    axes.set_ylim(ends.low, ends.high)
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.axhline(100 * data.results.study.target_reduction, color=INK, linewidth=0.9, linestyle="--", zorder=0.5)
    layer_axis(axes, data.layers)
    axes.set_ylabel("drift reduction (%)")
    if not np.isfinite([reductions_of(contrast) for contrast in data.contrasts]).any():
        note(axes, "not defined: the reference does not drift", (0.5, 0.5))


def axis_of(data: ReportData) -> AxisEnds:
    """The ends of the axis: they hold 0, the target, and all estimates and intervals as far as `BOUNDS` go."""
    over = _band_over(data)
    values = [reductions_of(contrast) for contrast in data.contrasts]
    bands = [] if over is None else [ends_by_layer(contrast, over).ravel() for contrast in data.contrasts]
    return ends_of(np.concatenate([*values, *bands]), BOUNDS, (0.0, 100 * data.results.study.target_reduction))


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


def ends_by_layer(contrast: ReportData, over: IntervalSource) -> np.ndarray:
    """The ends of the intervals over all tasks in percent, (2, layers): low, high; NaN where there is none."""
    return (
        100
        * np.array([_ends(interval_over(contrast.reduction(ALL_TASKS, layer), over)) for layer in contrast.layers]).T
    )


def _band(axes: Axes, data: ReportData, over: IntervalSource, color: str, ends: AxisEnds) -> None:
    low, high = ends_by_layer(data, over)
    if len(data.layers) == 1:
        axes.vlines(data.layers, ends.clip(low), ends.clip(high), linewidth=8, color=color, alpha=0.2)
    else:
        axes.fill_between(*cut_band(data.layers, low, high, ends), color=color, alpha=0.2, linewidth=0)
    # A triangle of the estimate says as much for its interval.
    inside = [ends.side(value) == 0 for value in reductions_of(data)]
    low, high = (np.where(inside, of, np.nan) for of in (low, high))
    mark_beyond(axes, data.layers, low, high, ends, color=color, size=max(2.5, min(4.5, 110 / len(data.layers))))


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
        f"{corrected}. Dashed: the target. {beyond_words(data)}Ratios are unstable where the reference hardly "
        "drifts, as in the lowest layers; a layer without a mark has none."
    )


def beyond_words(data: ReportData) -> str:
    """Says which estimates and intervals go on beyond the frame, each with its value; a sentence with a space after it, or nothing."""
    ends, over, said = axis_of(data), _band_over(data), list[str]()
    for contrast in data.contrasts:
        name = f"{method_title(contrast.results.study.comparison_method)}, " if data.several_arms else ""
        rows = [("the estimate", reductions_of(contrast))]
        if over is not None:
            rows += zip(("the interval to", "the interval to"), ends_by_layer(contrast, over), strict=True)
        for layer in contrast.layers:
            place = contrast.layers.index(layer)
            far = [f"{words} {percent(of[place] / 100)}" for words, of in rows if ends.side(float(of[place]))]
            said += [f"{name}layer {layer} ({', '.join(far)})"] if far else []
    if not said:
        return ""
    return f"A triangle at the frame: the estimate, or an end of its interval, lies beyond it: {first_apart(said)}. "


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
