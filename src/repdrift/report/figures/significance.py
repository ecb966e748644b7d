"""The p-values of the permutation tests, beside the smallest p-values that the design can reach."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from repdrift.core.hypotheses import LESS, METHOD_CLAIMS, TARGET, claim
from repdrift.core.records.claims import HypothesisTest, LayerCluster
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import counted, p_equals, pvalue, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, _significance_of_arms, no_comparison, register
from repdrift.report.labels import NOTE_PT, text_width_pt
from repdrift.report.report_data import (
    ReportData,
    correction_of,
    deciding_pvalue,
    layers_with,
    smallest_deciding_pvalue,
)
from repdrift.report.style import GREY, HATCH, INK, layer_axis, legend_columns, name_axis, note

_NUMBER_PT = 6.5
_COLORS = {LESS: "#0072B2", TARGET: "#AA3377"}
_PALE = {LESS: "#9CC9E6", TARGET: "#E3B4CF"}
_WIDTHS = (1.0, 1.25)
_HEADROOM = 1.3
_ROOM_IN = 5.4
_FOOTROOM = 0.2
"""Room for the clusters below zero, as a share of the axis's upper end."""


def draw(data: ReportData) -> Figure:
    """A row for each claim. The left panel shows p by task, the right panel p by layer, with and without correction."""
    if data.several_arms:
        return _significance_of_arms.draw(data)
    figure = Figure(figsize=(page_width_in(), 4.7))
    grid = figure.subplots(2, 2, width_ratios=list(_WIDTHS), sharex="col", sharey="row", squeeze=False)
    for row, hypothesis in enumerate(METHOD_CLAIMS):
        left, right = grid[row]
        top = _top(data, hypothesis)
        _by_task(left, data, hypothesis, top)
        _by_layer(right, data, hypothesis, top)
        left.set_ylabel("-log10 p")
        left.set_title(claim(hypothesis, data.results.study), loc="left")
        right.set_title("by layer, all tasks" if len(data.tasks) > 1 else "by layer", loc="left")
        left.set_ylim(-_FOOTROOM * top if _clusters_of(data, hypothesis) else 0, top)
        left.set_yticks([tick for tick in left.get_yticks() if 0 <= tick <= top])
        for axes in (left, right):
            axes.axhline(0, color=INK, linewidth=0.5, zorder=1)
            axes.axhline(_log(data.results.study.alpha), color=INK, linewidth=0.9, linestyle="--", zorder=1.2)
    grid[0, 1].set_xlabel("")
    _legend(figure, data)
    return figure


def _top(data: ReportData, hypothesis: str) -> float:
    """Upper end of the axis, above every p and alpha. It does not depend on what the design could reach."""
    shown = [t.pvalue for t in data.results.tests if t.hypothesis == hypothesis and t.pvalue is not None]
    return _HEADROOM * max([_log(data.results.study.alpha), *map(_log, shown)])


def _by_task(axes: Axes, data: ReportData, hypothesis: str, top: float) -> None:
    names = [*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks
    for position, name in enumerate(names):
        test = data.test(hypothesis, name)
        if test is None or test.pvalue is None:
            axes.text(position, top / 2, "no test", rotation=90, ha="center", va="center", fontsize=NOTE_PT, color=GREY)
            continue
        _out_of_reach(axes, position, test.smallest_pvalue, top)
        marker = "D" if name == ALL_TASKS else "o"
        axes.plot([position, position], [0, _log(test.pvalue)], color=_COLORS[hypothesis], linewidth=1.2)
        axes.plot(
            position, _log(test.pvalue), marker, color=_COLORS[hypothesis], markersize=4.5, clip_on=False, zorder=3
        )
    name_axis(axes, [task_title(name) for name in names], _ROOM_IN * _WIDTHS[0] / sum(_WIDTHS))


def _out_of_reach(axes: Axes, position: float, smallest: float | None, top: float) -> None:
    if smallest is not None and _log(smallest) < top:
        edge = _log(smallest)
        axes.plot([position - 0.4, position + 0.4], [edge, edge], color=GREY, linewidth=0.9)
        axes.add_patch(
            Rectangle((position - 0.4, edge), 0.8, top - edge, hatch=HATCH, fill=False, edgecolor="0.75", linewidth=0)
        )


def _by_layer(axes: Axes, data: ReportData, hypothesis: str, top: float) -> None:
    tests = data.layer_tests(hypothesis)
    layer_axis(axes, data.layers, room=0.55)
    if not tests:
        note(axes, "no test by layer", (0.5, 0.5))
        return
    size = max(2.2, min(4.5, 90 / len(data.layers)))
    layers = [float(t.layer) for t in tests if t.layer is not None]
    color = _COLORS[hypothesis]
    series = (
        ([t.pvalue for t in tests], "white", 1.0, 2.0),
        ([t.pvalue_bh for t in tests], _PALE[hypothesis], 0.85, 2.1),
        ([deciding_pvalue(t) for t in tests], color, 0.7, 2.2),
    )
    for pvalues, face, share, order in series:
        # Smaller marks in front, so that equal values stay visible.
        style = {"color": color, "markerfacecolor": face, "markersize": size * share, "markeredgewidth": 0.8}
        axes.plot(layers, _logs(pvalues), "o", clip_on=False, zorder=order, **style)
    _say_the_limit(axes, data, tests, top)
    _draw_clusters(axes, data, hypothesis, top, _COLORS[hypothesis], _ROOM_IN * _WIDTHS[1] / sum(_WIDTHS))


def _say_the_limit(axes: Axes, data: ReportData, tests: list[HypothesisTest], top: float) -> None:
    """Hatch the p-values that the design cannot reach, or write where the limit lies.

    It is also written if alpha cannot be reached after correction.
    """
    known = [t.smallest_pvalue for t in tests if t.smallest_pvalue is not None]
    corrected, correction = smallest_deciding_pvalue(tests), correction_of(tests)
    if corrected is None or not known:
        return
    alpha, smallest = data.results.study.alpha, min(known)
    edge = _log(smallest)
    if edge < top:
        axes.axhline(edge, color=GREY, linewidth=0.9)
        span = (axes.get_xlim()[0], axes.get_xlim()[1] - axes.get_xlim()[0])
        axes.add_patch(
            Rectangle((span[0], edge), span[1], top - edge, hatch=HATCH, fill=False, edgecolor="0.75", linewidth=0)
        )
    text = f"smallest p of the design: {pvalue(smallest)}"
    if correction is not None:
        after = "the same" if corrected == smallest else pvalue(corrected)
        text += f", after {correction} {after}"
    if corrected > alpha:
        text += f"\n{alpha:g} cannot be reached" + ("" if smallest > alpha else " after correction")
    note(axes, text, (0.99, 0.98), ha="right", va="top")


def _legend(figure: Figure, data: ReportData) -> None:
    def dot(face: str) -> Line2D:
        return Line2D([], [], color=INK, marker="o", markersize=4.5, linewidth=0, markerfacecolor=face)

    every = [test for hypothesis in METHOD_CLAIMS for test in data.layer_tests(hypothesis)]
    entries: list[tuple[Artist, str]] = [
        (dot("white"), "p"),
        (dot("0.7"), "p, Benjamini-Hochberg"),
        (Line2D([], [], color=INK, linewidth=0.9, linestyle="--"), f"p = {data.results.study.alpha:g}"),
        (Patch(facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0), "out of this design's reach"),
    ]
    if (correction := correction_of(every)) is not None:
        entries.insert(2, (dot(INK), f"p, {correction}"))
    if data.results.clusters:
        entries.append((Patch(facecolor=INK, edgecolor=INK), "cluster of layers"))
    figure.legend(
        [handle for handle, _ in entries], [label for _, label in entries], loc="outside upper center",
        ncols=legend_columns([label for _, label in entries], NOTE_PT), columnspacing=1.0, handletextpad=0.5, fontsize=NOTE_PT,
    )  # fmt: skip


def _logs(pvalues: list[float | None]) -> list[float]:
    return [np.nan if p is None else _log(p) for p in pvalues]


def _log(p: float) -> float:
    """Returns -log10 p. A permutation test counts the observed arrangement too, so p is never 0."""
    return 0.0 if p >= 1 else float(-np.log10(p))


def _clusters_of(data: ReportData, hypothesis: str) -> list[LayerCluster]:
    """The clusters of a hypothesis, in the order of the analysis."""
    return [cluster for cluster in data.results.clusters if cluster.hypothesis == hypothesis]


def _draw_clusters(axes: Axes, data: ReportData, hypothesis: str, top: float, color: str, width_in: float) -> None:
    """Draw a bar below zero for each cluster, filled if the cluster is significant. The p-value is written if there is room.

    top: upper end of the axis; the height of a bar is a share of it. width_in: width of the axes, whose limits must be set.
    """
    first, last = axes.get_xlim()
    layer_pt = 72 * width_in / (last - first)
    taken: list[tuple[float, float]] = []
    for cluster in sorted(_clusters_of(data, hypothesis), key=lambda c: c.pvalue):
        face = color if cluster.pvalue <= data.results.study.alpha else "white"
        corner, width = (cluster.first_layer - 0.4, -0.075 * top), cluster.last_layer - cluster.first_layer + 0.8
        axes.add_patch(Rectangle(corner, width, 0.05 * top, linewidth=0.8, facecolor=face, edgecolor=color))
        text = p_equals(cluster.pvalue)
        half = (text_width_pt([text], _NUMBER_PT) / 2 + 2) / layer_pt
        middle = min(max((cluster.first_layer + cluster.last_layer) / 2, first + half), last - half)
        if all(middle + half < low or middle - half > high for low, high in taken):
            taken.append((middle - half, middle + half))
            axes.text(middle, -0.1 * top, text, ha="center", va="top", fontsize=_NUMBER_PT, color=INK)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    if data.several_arms:
        return _significance_of_arms.caption(data)
    study = data.results.study
    correction = correction_of([test for hypothesis in METHOD_CLAIMS for test in data.layer_tests(hypothesis)])
    decides = {
        "max-T": " and by max-T (full), on which the verdicts rest: it compares with the largest statistic over the layers of "
        "every rearrangement, and can go as low as the uncorrected p",
        "Holm": " and Holm (full), on which the verdicts rest",
    }.get(correction or "", "")
    clusters = (
        " Bars under the layers: clusters of adjacent layers, full where the cluster's p is at most "
        f"{study.alpha:g}; such a p says that the methods differ, and that it shows most there. It does not say that they differ in every layer of the bar."
        if data.results.clusters
        else ""
    )
    return (
        "Permutation tests of the method labels over trained models, within tasks. Higher is stronger evidence; at or above the dashed "
        f"line p is at most {study.alpha:g}. Hatched: p-values that this number of trained models cannot give, however large the "
        "difference; where the hatching covers the dashed line, no result could have been significant. By layer: uncorrected (hollow), "
        f"corrected for the number of layers by Benjamini-Hochberg (pale){decides}. By task there is no correction.{clusters}"
    )


def describe(data: ReportData) -> str:
    """Says the p-value of each test of the mean over layers, how many layers are significant, and the clusters."""
    if data.several_arms:
        return _significance_of_arms.describe(data)
    study = data.results.study
    parts: list[str] = []
    for hypothesis in METHOD_CLAIMS:
        tested = [(name, data.test(hypothesis, name)) for name in dict.fromkeys([*data.compared_tasks(), ALL_TASKS])]
        pvalues = ", ".join(f"{task_title(n)} {p_equals(t.pvalue)}" for n, t in tested if t and t.pvalue is not None)
        layers = data.layer_tests(hypothesis)
        after = correction_of(layers)
        held = len(layers_with(layers, "supported"))
        of_layers = f"{held} of {counted(len(layers), 'layer')} supported{f' after {after}' if after else ''}"
        bars = "; ".join(
            f"layers {c.first_layer} to {c.last_layer} {p_equals(c.pvalue)}" for c in _clusters_of(data, hypothesis)
        )
        said = f"Claim: {claim(hypothesis, study)}. {pvalues or 'No test'}; {of_layers}."
        parts.append(said + (f" Clusters: {bars}." if bars else ""))
    return f"Permutation tests. {' '.join(parts)}"


register(FigureSpec("significance", 4, "Is it more than chance", caption, describe, draw, absent=no_comparison))
