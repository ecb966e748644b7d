"""The rank of every layer by drift, with its interval: a panel for each method."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.records.claims import LayerRanking
from repdrift.core.words import chosen_percent, counted, layer_ranges, method_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, INK, integer_axis, layer_axis, method_color, method_label, method_marker
from repdrift.report.wording import OVER

_PANEL_HEIGHT_IN = 2.1
_COLUMNS = 2


def draw(data: ReportData) -> Figure:
    """A panel for each method. Rank 1 drifts most and is on top; layers that may be the largest are filled."""
    rankings = _rankings(data)
    columns = min(_COLUMNS, len(rankings))
    rows = math.ceil(len(rankings) / columns)
    figure = Figure(figsize=(page_width_in(), 0.5 + _PANEL_HEIGHT_IN * rows))
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes, ranking in zip(panels, rankings, strict=False):
        _panel(axes, data, ranking, 1 / columns)
    for axes in panels[len(rankings) :]:
        axes.remove()
    lowest = max(layer.rank_high for ranking in rankings for layer in ranking.layers)
    panels[0].set_ylim(lowest + 0.5, 0.5)
    integer_axis(panels[0].yaxis, lowest)
    figure.supylabel("rank of drift (1: drifts most)", fontsize=8)
    dot = {"color": INK, "marker": "o", "markersize": 4.5, "markeredgewidth": 0.9}
    handles = [Line2D([], [], markerfacecolor=face, linewidth=1.0, **dot) for face in (INK, "white")]
    figure.legend(handles, ["may be the layer that drifts most", "is not"], loc="outside upper center", ncols=2)
    return figure


def _rankings(data: ReportData) -> list[LayerRanking]:
    """The rankings that have layers, one for each method, in the study's order."""
    by_method = {ranking.method: ranking for ranking in data.results.rankings if ranking.layers}
    return [by_method[method] for method in data.methods if method in by_method]


def _panel(axes: Axes, data: ReportData, ranking: LayerRanking, room: float) -> None:
    color, marker = method_color(ranking.method, data.methods), method_marker(ranking.method, data.methods)
    size = max(1.8, min(4.5, 130 * room / len(ranking.layers)))
    for layer in ranking.layers:
        axes.plot([layer.layer] * 2, [layer.rank_low, layer.rank_high], color=color, linewidth=1.0, zorder=1.5)
        face = color if layer.may_be_largest else "white"
        axes.plot(
            layer.layer, layer.rank, marker, color=color, markerfacecolor=face, markersize=size, markeredgewidth=0.8, clip_on=False
        )  # fmt: skip
    axes.axhline(1, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_title(f"{method_label(ranking.method)}, intervals over {ranking.over}")
    layer_axis(axes, data.layers, room=room)
    axes.set_axisbelow(True)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    rankings = _rankings(data)
    over = "; ".join(f"{method_title(r.method)}: {OVER[r.over]}" for r in rankings)
    confidence = ", ".join(dict.fromkeys(chosen_percent(r.confidence) for r in rankings))
    return (
        "Layers in the order of their drift, mean over tasks and models; rank 1 drifts most. Bars: intervals of the rank that hold for all "
        f"layers at once with {confidence} confidence ({over}). Filled: layers that may be the one that drifts most. If bars overlap "
        "widely, the order of these layers is not known."
    )


def describe(data: ReportData) -> str:
    """Says for each method which layer drifts most, the interval of its rank, and which layers may be the largest."""
    parts: list[str] = []
    for ranking in _rankings(data):
        first = min(ranking.layers, key=lambda layer: layer.rank)
        may = layer_ranges([layer.layer for layer in ranking.layers if layer.may_be_largest])
        parts.append(
            f"{method_title(ranking.method)}: layer {first.layer} drifts most (rank {first.rank_low} to {first.rank_high} of "
            f"{counted(len(ranking.layers), 'layer')}); may be the largest: {may}"
        )
    return f"Ranks of the layers by drift, with intervals. {'; '.join(parts)}."


register(
    FigureSpec(
        "layer_ranks",
        6,
        "Which layers drift most",
        caption,
        describe,
        draw,
        absent=lambda data: None if _rankings(data) else "the results hold no ranks of layers",
    )
)
