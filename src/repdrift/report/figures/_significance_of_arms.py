"""The p-values of several methods against one reference, corrected over them, beside the smallest that could come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.hypotheses import LESS, METHOD_CLAIMS, TARGET
from repdrift.core.records.claims import Hypothesis, HypothesisTest
from repdrift.core.words import chosen_percent, method_title, p_equals, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import _arms
from repdrift.report.labels import NOTE_PT
from repdrift.report.report_data import (
    ReportData,
    correction_in_words,
    deciding_pvalue,
    layers_with,
    smallest_deciding_pvalue,
)
from repdrift.report.style import GREY, INK, layer_axis, note

_ROW_HEIGHT_IN = 2.1
_HEADROOM = 1.25


def draw(data: ReportData) -> Figure:
    """A row for each claim. The left panel shows the deciding p by task, the right panel by layer."""
    figure = Figure(figsize=(page_width_in(), 2 * _ROW_HEIGHT_IN))
    grid = figure.subplots(2, 2, width_ratios=list(_arms.WIDTHS), sharex="col", sharey="row", squeeze=False)
    alpha = data.results.study.alpha
    for row, hypothesis in enumerate(METHOD_CLAIMS):
        left, right = grid[row]
        _by_task(left, data, hypothesis)
        tests = [contrast.layer_tests(hypothesis) for contrast in data.contrasts]
        values = [[_log(_by_number(of_arm).get(layer)) for layer in data.layers] for of_arm in tests]
        _arms.by_layer(right, data, values, [set(layers_with(of_arm, "supported")) for of_arm in tests])
        layer_axis(right, data.layers, room=0.55)
        if not any(tests):
            note(right, "no test by layer", (0.5, 0.5))
        left.set_ylabel("-log10 p, corrected")
        left.set_title(_claim(hypothesis, data), loc="left")
        right.set_title("by layer, all tasks" if len(data.tasks) > 1 else "by layer", loc="left")
        top = _HEADROOM * max(-np.log10(alpha), float(left.dataLim.y1), float(right.dataLim.y1))
        left.set_ylim(-0.03 * top, top)
        for axes in (left, right):
            axes.axhline(0, color=INK, linewidth=0.5, zorder=1)
            axes.axhline(-np.log10(alpha), color=INK, linewidth=0.9, linestyle="--", zorder=1.2)
        least = [p for of_arm in tests if (p := smallest_deciding_pvalue(of_arm)) is not None]
        if least and -np.log10(min(least)) < top:
            right.axhline(-np.log10(min(least)), color=GREY, linewidth=0.9, linestyle=":", zorder=1)
    grid[0, 1].set_xlabel("")
    lines = [
        (Line2D([], [], color=INK, linewidth=0.9, linestyle="--"), f"p = {alpha:g}"),
        (Line2D([], [], color=GREY, marker="_", markersize=8, linewidth=0.9, linestyle=":"), "smallest possible p"),
    ]
    _arms.legend(figure, [*_arms.arm_keys(data), *lines], 2 * _ROW_HEIGHT_IN)
    return figure


def _by_task(axes: Axes, data: ReportData, hypothesis: Hypothesis) -> None:
    names = _arms.task_names(data)
    size = _arms.mark_size(data, len(names))
    for contrast, _, place, color, marker in _arms.placed(data):
        for position, name in enumerate(names):
            at, test = position + place, contrast.test(hypothesis, name)
            height = None if test is None else _log(test)
            if test is None or height is None:
                axes.text(at, 0.04, "no test", rotation=90, ha="center", va="bottom", fontsize=NOTE_PT, color=color,
                          transform=axes.get_xaxis_transform())  # fmt: skip
                continue
            axes.plot([at, at], [0, height], color=color, linewidth=1.0)
            face = color if test.verdict == "supported" else "white"
            axes.plot(at, height, marker, color=color, markerfacecolor=face, markersize=size, zorder=3, clip_on=False)
            smallest = test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue
            if smallest is not None:
                axes.plot(at, -np.log10(smallest), "_", color=GREY, markersize=8, zorder=1.5)
    _arms.task_axis(axes, data)


def _by_number(tests: Sequence[HypothesisTest]) -> dict[int, HypothesisTest]:
    return {test.layer: test for test in tests if test.layer is not None}


def _log(test: HypothesisTest | None) -> float | None:
    """Returns -log10 of the p that decides; None if there is none. A permutation test never gives 0."""
    p = None if test is None else deciding_pvalue(test)
    return None if p is None else float(max(0.0, -np.log10(p)))


def _claim(hypothesis: Hypothesis, data: ReportData) -> str:
    target = chosen_percent(data.results.study.target_reduction)
    return {LESS: "drifts less", TARGET: f"drifts at least {target} less"}[hypothesis]


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    tests = [test for contrast in data.contrasts for test in contrast.layer_tests(LESS)]
    correction = correction_in_words(tests) or "nothing"
    return (
        f"Permutation tests of each method against {method_title(study.reference_method)} over trained models, within tasks. Higher is stronger "
        f"evidence; at or above the dashed line p is at most {study.alpha:g}; a full mark is a claim that is supported. Left, corrected over the "
        f"methods by Holm, task by task; right, corrected by {correction}. Grey: the smallest p that this number of trained models can give after "
        "correction, however large the difference; where that lies below the dashed line, nothing could have been significant. The uncorrected "
        "p-values are in the tables."
    )


def describe(data: ReportData) -> str:
    """Says the deciding p of each method and claim over all tasks, and the number of layers that are supported."""
    parts: list[str] = []
    for hypothesis in METHOD_CLAIMS:
        for contrast in data.contrasts:
            name = method_title(contrast.results.study.comparison_method)
            said = [
                f"{task_title(task)} {p_equals(p)}"
                for task in _arms.task_names(data)
                if (t := contrast.test(hypothesis, task)) and (p := deciding_pvalue(t)) is not None
            ]
            layers = contrast.layer_tests(hypothesis)
            held = len(layers_with(layers, "supported"))
            parts.append(
                f"{name} {_claim(hypothesis, data)}: {', '.join(said) or 'no test'}; {held} of {len(layers)} layers supported"
            )
    return f"Permutation tests, p corrected over methods. {'. '.join(parts)}."
