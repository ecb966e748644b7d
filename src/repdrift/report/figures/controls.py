"""The controls beside the drift: what no relation, another seed, and no change at all give."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures._panels import control_lines, task_panels
from repdrift.report.style import FAINT, INK, lone_marker, method_color, method_label, method_marker
from repdrift.report.tables import ReportData
from repdrift.report.wording import drift_definition, small

_LINEAR_EXPONENTS = (-7, -3)


def draw(data: ReportData) -> Figure:
    """A panel a task: identity, drift of each method, drift between seeds and mispaired rows, by layer."""
    ylabel = f"drift, {drift_definition(data.results.study, data.results.study.primary_measure)}"
    figure = task_panels(data, _panel, ylabel=ylabel, remarks=(0.98, 0.3))
    edge = _linear_edge(data)
    low = min(float(axes.dataLim.y0) for axes in figure.axes)
    high = max(float(axes.dataLim.y1) for axes in figure.axes)
    powers = [10.0**e for e in range(0, edge - 1, -1 if edge > -4 else -2)]
    below = [-(10.0**e) for e in range(edge, 1) if low < -(10.0**e)]
    for axes in figure.axes:
        axes.set_yscale("symlog", linthresh=10.0**edge, linscale=0.5)
        axes.yaxis.set_major_locator(FixedLocator([*below[-1:], 0.0, *powers]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(min(2 * low, -(10.0**edge) / 2), max(2 * high, 2.0))
    return figure


def _linear_edge(data: ReportData) -> int:
    """Exponent of the power of ten below which the scale is linear: below the smallest mean drift, where it can be."""
    means = np.concatenate([np.abs(data.mean_drift(task, method)) for task in data.tasks for method in data.methods])
    means = means[np.isfinite(means) & (means > 0)]
    smallest = int(np.floor(np.log10(means.min()))) if means.size else _LINEAR_EXPONENTS[1]
    return max(_LINEAR_EXPONENTS[0], min(_LINEAR_EXPONENTS[1], smallest))


def _panel(axes: Axes, data: ReportData, task: str) -> None:
    size = max(1.5, min(4.0, 60 / len(data.layers)))
    mispaired = data.control_drift("mispaired", task)
    if np.isfinite(mispaired).any():
        style = {
            "linewidth": 0.9,
            "linestyle": "-.",
            "marker": lone_marker(data.layers),
            "label": "mispaired samples (no relation)",
        }
        axes.plot(data.layers, mispaired, color=INK, **style)
    for method in data.methods:
        means = data.mean_drift(task, method)
        if np.isfinite(means).any():
            style = {"marker": method_marker(method, data.methods), "markersize": size, "linewidth": 1.0}
            label = f"drift, {method_label(method)}"
            axes.plot(data.layers, means, color=method_color(method, data.methods), label=label, **style)
    control_lines(axes, data, task)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)


def caption(data: ReportData) -> str:
    """How to read it."""
    return (
        "A drift is worth speaking of where it lies above the noise (the base model extracted twice) and below mispaired samples "
        "(no relation at all). Dotted: drift between two seeds of one method, which shows how far equal training ends apart. "
        f"Means over seeds. The scale is logarithmic but within ±1e{_linear_edge(data)}, where it is linear, so that zero and negative "
        "values have a place."
    )


def describe(data: ReportData) -> str:
    """The range over layers of every control, by task."""
    names = {"identity": "base model twice", "seed_ceiling": "between seeds", "mispaired": "mispaired samples"}
    parts: list[str] = []
    for task in data.tasks:
        ranges = []
        for name, title in names.items():
            values = data.control_drift(name, task)
            known = values[np.isfinite(values)]
            ranges.append(
                f"{title} {small(known.min())} to {small(known.max())}" if known.size else f"{title} not at hand"
            )
        parts.append(f"{task}: {', '.join(ranges)}")
    return f"Drift by layer beside its controls, on a logarithmic scale. {'; '.join(parts)}."


register(FigureSpec("controls", 5, "Drift beside its controls", caption, describe, draw))
