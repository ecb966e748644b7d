"""What the permutation tests say, and what they could have said with this number of trained models."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.records.results import HypothesisTest
from repdrift.report.figures import FigureSpec, register
from repdrift.report.style import FULL_WIDTH_IN, GREY, layer_axis, plain
from repdrift.report.tables import ReportData

_COLORS = {"comparison_drifts_less": "#0072B2", "reduction_exceeds_target": "#CC79A7"}
_TINY = 1e-300


def draw(data: ReportData) -> Figure:
    """Left: by task and over all; right: by layer, with Holm's correction."""
    figure = Figure(figsize=(FULL_WIDTH_IN, 2.9))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _by_task(left, data)
    _by_layer(right, data)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _by_task(axes: Axes, data: ReportData) -> None:
    names = list(dict.fromkeys(t.task for t in data.results.tests if t.layer is None))
    for shift, hypothesis in ((-0.14, "comparison_drifts_less"), (0.14, "reduction_exceeds_target")):
        for test in data.tests(hypothesis, by_layer=False):
            if test.pvalue is None:
                continue
            place = names.index(test.task) + shift
            axes.plot([place, place], [0, _log(test.pvalue)], color=_COLORS[hypothesis], linewidth=1.2)
            axes.plot(place, _log(test.pvalue), "o" if shift < 0 else "s", color=_COLORS[hypothesis], markersize=4.5)
    for name in names:
        reachable = [
            t.smallest_pvalue for t in data.results.tests if t.task == name and t.layer is None and t.smallest_pvalue
        ]
        if reachable:
            place = names.index(name)
            axes.plot([place - 0.35, place + 0.35], [_log(min(reachable))] * 2, color=GREY, linewidth=1.1)
    _alpha_line(axes, data)
    axes.set_xticks(
        range(len(names)), ["all tasks" if n == "all" else plain(n) for n in names], rotation=20, ha="right"
    )
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("-log10 p")
    axes.set_title("by task")


def _by_layer(axes: Axes, data: ReportData) -> None:
    reachable: list[float] = []
    for hypothesis, color in _COLORS.items():
        tests = sorted(data.tests(hypothesis, by_layer=True), key=lambda t: t.layer or 0)
        if not tests:
            continue
        shift = -0.12 if hypothesis == "comparison_drifts_less" else 0.12  # so that equal values stay visible
        layers = [(t.layer or 0) + shift for t in tests]
        label = (
            "drifts less"
            if hypothesis == "comparison_drifts_less"
            else f"by {100 * data.results.study.target_reduction:g} % or more"
        )
        marker = "o" if hypothesis == "comparison_drifts_less" else "s"
        axes.plot(
            layers,
            _logs(tests, "pvalue"),
            marker,
            color=color,
            markersize=4,
            markerfacecolor="none",
            label=f"{label}, p",
        )
        axes.plot(layers, _logs(tests, "pvalue_holm"), marker, color=color, markersize=4, label=f"{label}, Holm")
        reachable += [t.smallest_pvalue for t in tests if t.smallest_pvalue is not None]
    if reachable:
        limit = _log(min(reachable))
        axes.axhline(limit, color=GREY, linewidth=1.1)
        axes.annotate("smallest p of the design", (1, limit), xycoords=("axes fraction", "data"), xytext=(-2, -8),
                      textcoords="offset points", ha="right", fontsize=7, color=GREY)  # fmt: skip
    _alpha_line(axes, data)
    layer_axis(axes, data.layers)
    axes.set_ylim(bottom=0)
    axes.set_title("by layer, all tasks")


def _alpha_line(axes: Axes, data: ReportData) -> None:
    alpha = data.results.study.alpha
    axes.axhline(_log(alpha), color="black", linewidth=0.9, linestyle="--")
    axes.annotate(
        f"p = {alpha:g}",
        (0, _log(alpha)),
        xycoords=("axes fraction", "data"),
        xytext=(2, 2),
        textcoords="offset points",
        fontsize=7,
    )


def _logs(tests: list[HypothesisTest], field: str) -> list[float]:
    return [np.nan if getattr(t, field) is None else _log(getattr(t, field)) for t in tests]


def _log(p: float) -> float:
    return float(-np.log10(max(p, _TINY)))


def caption(data: ReportData) -> str:
    """What is seen."""
    study = data.results.study
    return (
        "Permutation tests of the method labels over trained models, within tasks. Higher is stronger evidence; above the dashed line "
        f"p is below {study.alpha:g}. Grey: the smallest p that this number of trained models can give. Where grey lies below dashed, no "
        "result could have been significant. Filled marks by layer are corrected for the number of layers (Holm)."
    )


register(FigureSpec("significance", 4, "Is it more than chance", caption, draw, needs_both_methods=True))
