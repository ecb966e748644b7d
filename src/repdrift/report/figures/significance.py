"""The p-values of the permutation tests, beside the smallest p-values that the design can reach."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from repdrift.core.claim_parts import correction_of, deciding_opposite_pvalue, deciding_pvalue
from repdrift.core.hypotheses import METHOD_CLAIMS, claim
from repdrift.core.records.claims import Hypothesis, HypothesisTest, LayerCluster
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import counted, method_title, p_equals, pvalue, task_title
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, _significance_of_arms, no_comparison, register
from repdrift.report.figures._pvalues import (
    REACH_KEY,
    PEnds,
    alpha_line,
    both_ways,
    opposite_place,
    out_of_reach,
    p_axis,
    p_ends,
    place,
    short_claim,
    sides_remark,
)
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted, fitted_names, one_line, text_width_pt, without_formulas
from repdrift.report.panels import legend_above, panel_title
from repdrift.report.report_data import ReportData, layers_with, smallest_deciding_pvalue
from repdrift.report.style import FAINT, GREY, INK, layer_axis, method_look, note

_FOOTROOM = 0.22
"""Room for the clusters below the axis, as a share of its length."""
_BY_TASK_ROW_IN, _BY_LAYER_IN = 0.17, 1.6


def draw(data: ReportData) -> Figure:
    """Two panels for each claim: p by task, and p by layer with and without correction. They stand below each other in a narrow figure."""
    if data.several_arms:
        return _significance_of_arms.draw(data)
    names = [*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks
    by_task = 0.75 + _BY_TASK_ROW_IN * len(names)
    figure = Figure()
    narrow = is_narrow()
    grid: Any = figure.subplots(
        4 if narrow else 2, 1 if narrow else 2, squeeze=False, height_ratios=[by_task, _BY_LAYER_IN + 0.5] * 2 if narrow else None,
        width_ratios=None if narrow else [1.0, 1.25],
    )  # fmt: skip
    panels = list(grid.flat)
    for row, hypothesis in enumerate(METHOD_CLAIMS):
        left, right = panels[2 * row : 2 * row + 2]
        ends = _ends(data, hypothesis)
        draw_by_task(left, data, hypothesis, ends, names)
        draw_by_layer(right, data, hypothesis, ends)
        labels_pt = max(text_width_pt([label.get_text() for label in left.get_yticklabels()], NOTE_PT), 30.0)
        width = 72 * page_width_in() * (1.0 if narrow else 1 / 2.25) - labels_pt - 16
        panel_title(left, _title(data, hypothesis, width), sides_remark(hypothesis, ends), width)
        wide = width if narrow else 72 * page_width_in() * 1.25 / 2.25 - 44
        remarks = [*(["above: the claim, below: the opposite"] if ends.both else []), *limit_remark(data, hypothesis)]
        panel_title(right, "by layer, all tasks" if len(data.tasks) > 1 else "by layer", remarks, wide)
    keys = [*_keys(data), *([REACH_KEY] if any(p.get_hatch() for axes in panels for p in axes.patches) else [])]
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys])
    heights = [by_task + _BY_LAYER_IN + 0.75] * 2 if narrow else [max(by_task, _BY_LAYER_IN + 0.65)] * 2
    figure.set_size_inches(page_width_in(), sum(heights) + height)
    return figure


def _title(data: ReportData, hypothesis: Hypothesis, width_pt: float) -> str:
    """The claim in one line, or the name of the method above the rest of it."""
    name, words = method_title(data.results.study.comparison_method), short_claim(hypothesis, data)
    whole = without_formulas(f"{one_line(name)} {words}")
    return whole if text_width_pt([whole]) <= width_pt else f"{fitted(name, width_pt, FONT_PT)}\n{words}"


def _ends(data: ReportData, hypothesis: str) -> PEnds:
    """The ends of the axis, beyond every p and alpha. They do not depend on what the design could reach."""
    shown = [test for test in data.results.tests if test.hypothesis == hypothesis]
    return p_ends(data.results.study.alpha, [t.pvalue for t in shown], [t.opposite_pvalue for t in shown])


def draw_by_task(axes: Axes, data: ReportData, hypothesis: Hypothesis, ends: PEnds, names: list[str]) -> None:
    """Draw a row for each task: a bar to the right from 1 to the p of the claim, and one to the left to that of its opposite."""
    look = method_look(data.results.study.comparison_method, data.methods)
    for row, name in enumerate(names):
        test = data.test(hypothesis, name)
        if test is None or test.pvalue is None:
            axes.text(
                (ends.low + ends.high) / 2, row, "no test", ha="center", va="center", fontsize=NOTE_PT, color=GREY
            )
            continue
        out_of_reach(axes, test.smallest_pvalue, ends, row)
        for at, face in ((opposite_place(test.opposite_pvalue), "white"), (place(test.pvalue), look.color)):
            if np.isfinite(at):
                axes.plot([0, at], [row, row], color=look.color, linewidth=1.1)
                axes.plot(
                    at,
                    row,
                    look.marker,
                    color=look.color,
                    markerfacecolor=face,
                    markersize=4.5,
                    clip_on=False,
                    zorder=3,
                )
    axes.set_yticks(range(len(names)), fitted_names([task_title(name) for name in names], 72))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(ends.low, ends.high)
    axes.tick_params(axis="y", length=0)
    p_axis(axes.xaxis, ends, 6)
    axes.set_xlabel("p, mean over layers")
    alpha_line(axes, data.results.study.alpha, ends, upright=True)


def draw_by_layer(axes: Axes, data: ReportData, hypothesis: Hypothesis, ends: PEnds) -> None:
    """Draw the p of each layer as a hollow mark, and after correction as a full one, of the opposite below p = 1; clusters hang below the axis."""
    tests = data.layer_tests(hypothesis)
    layer_axis(axes, data.layers, 1.0 if is_narrow() else 0.5)
    clusters = _clusters_of(data, hypothesis)
    axes.set_ylim(ends.low - (_FOOTROOM * ends.span if clusters else 0.0), ends.high)
    p_axis(axes.yaxis, ends, 7)
    axes.set_ylabel("p")
    axes.axhline(0, color=FAINT, linewidth=0.5, zorder=1)
    alpha_line(axes, data.results.study.alpha, ends, upright=False)
    if all(deciding_pvalue(test) is None for test in tests):
        note(axes, "no test by layer", (0.5, 0.5))
        return
    size = max(2.0, min(4.5, 90 / len(data.layers)))
    layers = [float(t.layer) for t in tests if t.layer is not None]
    color = method_look(data.results.study.comparison_method, data.methods).color
    for places, face, share in (
        ([place(t.pvalue) for t in tests], "white", 1.0),
        ([place(deciding_pvalue(t)) for t in tests], color, 0.7),
        ([opposite_place(t.opposite_pvalue) for t in tests], "white", 1.0),
        ([opposite_place(deciding_opposite_pvalue(t)) for t in tests], color, 0.7),
    ):
        if not np.isfinite(places).any():
            continue
        # Smaller marks in front, so that equal values stay visible.
        style = {"color": color, "markerfacecolor": face, "markersize": size * share, "markeredgewidth": 0.8}
        axes.plot(layers, places, "o", clip_on=False, zorder=2.2 - 0.1 * share, **style)
    known = [t.smallest_pvalue for t in tests if t.smallest_pvalue is not None]
    out_of_reach(axes, min(known, default=None), ends)
    _draw_clusters(axes, data, clusters, ends, color)


def limit_remark(data: ReportData, hypothesis: Hypothesis) -> list[str]:
    """Says where the limit of the design lies by layer, and whether alpha can be reached."""
    tests = data.layer_tests(hypothesis)
    known = [t.smallest_pvalue for t in tests if t.smallest_pvalue is not None]
    corrected, correction = smallest_deciding_pvalue(tests), correction_of(tests)
    if corrected is None or not known:
        return []
    alpha, smallest = data.results.study.alpha, min(known)
    text = f"least p of the design: {pvalue(smallest)}"
    if correction is not None:
        after = "the same" if corrected == smallest else pvalue(corrected)
        text += f", after {correction} {after}"
    if corrected > alpha:
        return [text, f"{alpha:g} cannot be reached" + ("" if smallest > alpha else " after correction")]
    return [text]


def _keys(data: ReportData) -> list[Artist]:
    """Entries of the legend: what the marks of the panels by layer are."""
    color = method_look(data.results.study.comparison_method, data.methods).color
    every = [test for hypothesis in METHOD_CLAIMS for test in data.layer_tests(hypothesis)]
    keys: list[Artist] = [
        Line2D([], [], color=color, marker="o", markersize=4.5, linewidth=0, markerfacecolor="white", label="p"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"p = {data.results.study.alpha:g}"),
    ]
    if (correction := correction_of(every)) is not None:
        keys.insert(1, Line2D([], [], color=color, marker="o", markersize=3.5, linewidth=0, label=f"p, {correction}"))
    if data.results.clusters:
        keys.append(Patch(facecolor=color, edgecolor=color, label="cluster of layers"))
    return keys


def _clusters_of(data: ReportData, hypothesis: str) -> list[LayerCluster]:
    """The clusters of a hypothesis, in the order of the analysis."""
    return [cluster for cluster in data.results.clusters if cluster.hypothesis == hypothesis]


def _draw_clusters(axes: Axes, data: ReportData, clusters: list[LayerCluster], ends: PEnds, color: str) -> None:
    """Draw a bar below the axis for each cluster, filled if the cluster is significant. The p-value is written if there is room."""
    first, last = axes.get_xlim()
    layer_pt = 72 * page_width_in() * (0.8 if is_narrow() else 0.42) / (last - first)
    taken: list[tuple[float, float]] = []
    for cluster in sorted(clusters, key=lambda c: c.pvalue):
        face = color if cluster.pvalue <= data.results.study.alpha else "white"
        corner, width = (
            (cluster.first_layer - 0.4, ends.low - 0.075 * ends.span),
            cluster.last_layer - cluster.first_layer + 0.8,
        )
        axes.add_patch(Rectangle(corner, width, 0.05 * ends.span, linewidth=0.8, facecolor=face, edgecolor=color))
        text = p_equals(cluster.pvalue)
        half = (text_width_pt([text], NOTE_PT) / 2 + 3) / layer_pt
        middle = min(max((cluster.first_layer + cluster.last_layer) / 2, first + half), last - half)
        if all(middle + half < low or middle - half > high for low, high in taken):
            taken.append((middle - half, middle + half))
            axes.text(middle, ends.low - 0.1 * ends.span, text, ha="center", va="top", fontsize=NOTE_PT, color=INK)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    if data.several_arms:
        return _significance_of_arms.caption(data)
    study = data.results.study
    every: list[HypothesisTest] = [test for hypothesis in METHOD_CLAIMS for test in data.layer_tests(hypothesis)]
    decides = {
        "max-T": " (hollow) and corrected for the number of layers by max-T (full), on which the verdicts rest: it compares with the largest statistic over the "
        "layers of every rearrangement, and can go as low as the uncorrected p",
        "Holm": " (hollow) and corrected for the number of layers by Holm (full), on which the verdicts rest",
    }.get(correction_of(every) or "", "")
    clusters = (
        " Bars under the layers: clusters of adjacent layers, full where the cluster's p is at most "
        f"{study.alpha:g}; such a p says that the methods differ, and that it shows most there. It does not say that they differ in every layer of the bar."
        if data.results.clusters
        else ""
    )
    return (
        "Permutation tests of the method labels over trained models, within tasks, of a claim and of its opposite; p = 1 lies between the two. The farther to the right, or above, "
        "the stronger the evidence for the claim; the farther to the left (hollow), or below, the stronger that for the opposite: that the method drifts more, or falls "
        f"short of the target. At or beyond a dashed line p is at most {study.alpha:g}. Hatched: p-values that this number of trained models cannot give, however large the difference; where the "
        f"hatching covers the dashed line, no result could have been significant. By layer: uncorrected{decides}. By task there is no correction.{clusters}"
    )


def describe(data: ReportData) -> str:
    """Says the p-value of each test of the mean over layers, how many layers are significant, and the clusters."""
    if data.several_arms:
        return _significance_of_arms.describe(data)
    study = data.results.study
    parts: list[str] = []
    for hypothesis in METHOD_CLAIMS:
        tested = [(name, data.test(hypothesis, name)) for name in dict.fromkeys([*data.compared_tasks(), ALL_TASKS])]
        pvalues = ", ".join(f"{task_title(n)} {both_ways(t)}" for n, t in tested if t and t.pvalue is not None)
        layers = data.layer_tests(hypothesis)
        after = correction_of(layers)
        held = len(layers_with(layers, "supported"))
        against = len(layers_with(layers, "rejected"))
        of_layers = f"{held} of {counted(len(layers), 'layer')} supported{f' after {after}' if after else ''}, the opposite shown in {against}"
        bars = "; ".join(
            f"layers {c.first_layer} to {c.last_layer} {p_equals(c.pvalue)}" for c in _clusters_of(data, hypothesis)
        )
        said = f"Claim: {claim(hypothesis, study)}. {pvalues or 'No test'}; {of_layers}."
        parts.append(said + (f" Clusters: {bars}." if bars else ""))
    return f"Permutation tests. {' '.join(parts)}"


register(FigureSpec("significance", 4, "Is it more than chance", caption, describe, draw, absent=no_comparison))
