"""Clusters of layers as bars under the layers that they span."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from repdrift.core.records.results import LayerCluster
from repdrift.report.style import INK, text_width_pt
from repdrift.report.tables import ReportData

_NUMBER_PT = 6.5


def clusters_of(data: ReportData, hypothesis: str) -> list[LayerCluster]:
    """The clusters of a hypothesis, in the analysis's order."""
    return [cluster for cluster in data.results.clusters if cluster.hypothesis == hypothesis]


def draw_clusters(axes: Axes, data: ReportData, hypothesis: str, top: float, color: str, width_in: float) -> None:
    """Bars below zero, full where the cluster is significant, with their p where there is room, the smallest first.

    top: upper end of the axis, which the bars' height is a share of. width_in: width of the axes, which must have its limits.
    """
    first, last = axes.get_xlim()
    layer_pt = 72 * width_in / (last - first)
    taken: list[tuple[float, float]] = []
    for cluster in sorted(clusters_of(data, hypothesis), key=lambda c: c.pvalue):
        face = color if cluster.pvalue <= data.results.study.alpha else "white"
        corner, width = (cluster.first_layer - 0.4, -0.075 * top), cluster.last_layer - cluster.first_layer + 0.8
        axes.add_patch(Rectangle(corner, width, 0.05 * top, linewidth=0.8, facecolor=face, edgecolor=color))
        text = f"p = {cluster.pvalue:.2g}"
        half = (text_width_pt([text], _NUMBER_PT) / 2 + 2) / layer_pt
        middle = min(max((cluster.first_layer + cluster.last_layer) / 2, first + half), last - half)
        if all(middle + half < low or middle - half > high for low, high in taken):
            taken.append((middle - half, middle + half))
            axes.text(middle, -0.1 * top, text, ha="center", va="top", fontsize=_NUMBER_PT, color=INK)
