"""The rank of every layer by drift, with its interval: a panel for each method."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.claim_parts import OVER
from repdrift.core.records.claims import LayerRanking
from repdrift.core.words import chosen_percent, counted, layer_ranges, method_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT
from repdrift.report.panels import PanelPlan, draw_grid, label_outer, legend_above, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, INK, integer_axis, layer_axis, method_look, method_names

_PANEL_IN = 1.5


def _plan(data: ReportData) -> PanelPlan:
    return panel_plan(len(_rankings(data)), _PANEL_IN + 0.13, least_in=2.0, most_columns=3)


def draw(data: ReportData) -> Figure:
    """A panel for each method. Rank 1 drifts most and is on top; layers that may be the largest are filled."""
    plan = _plan(data)
    rankings = _rankings(data)[: plan.shown]
    figure = Figure()
    panels = draw_grid(figure, plan, sharey=True)
    names = method_names(data.methods, plan.width_pt, FONT_PT)
    for axes, ranking in zip(panels, rankings, strict=True):
        _panel(axes, data, ranking)
        panel_title(axes, names[ranking.method], [f"intervals over {ranking.over}"], plan.width_pt)
        layer_axis(axes, data.layers, plan.room)
    label_outer(panels, plan)
    lowest = max(layer.rank_high for ranking in rankings for layer in ranking.layers)
    panels[0].set_ylim(lowest + 0.5, 0.5)
    integer_axis(panels[0].yaxis, lowest)
    figure.supylabel("rank of drift (1: drifts most)", fontsize=FONT_PT)
    dot = {"color": INK, "marker": "o", "markersize": 4.5, "markeredgewidth": 0.9}
    handles = [Line2D([], [], markerfacecolor=face, linewidth=1.0, **dot) for face in (INK, "white")]
    height = legend_above(figure, handles, ["may be the layer that drifts most", "is not"])
    figure.set_size_inches(page_width_in(), 0.3 + height + (_PANEL_IN + 0.13) * plan.rows)
    return figure


def _rankings(data: ReportData) -> list[LayerRanking]:
    """The rankings that have layers, one for each method, in the study's order."""
    by_method = {ranking.method: ranking for ranking in data.results.rankings if ranking.layers}
    return [by_method[method] for method in data.methods if method in by_method]


def _panel(axes: Axes, data: ReportData, ranking: LayerRanking) -> None:
    look = method_look(ranking.method, data.methods)
    size = max(1.5, min(4.5, 65 / len(ranking.layers)))
    for layer in ranking.layers:
        axes.plot([layer.layer] * 2, [layer.rank_low, layer.rank_high], color=look.color, linewidth=0.9, zorder=1.5)
        face = look.color if layer.may_be_largest else "white"
        axes.plot(
            layer.layer, layer.rank, look.marker, color=look.color, markerfacecolor=face, markersize=size, markeredgewidth=0.7, clip_on=False
        )  # fmt: skip
    axes.axhline(1, color=FAINT, linewidth=0.6, zorder=0)
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
        + _plan(data).says_what_is_left_out("the tables have all methods")
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
