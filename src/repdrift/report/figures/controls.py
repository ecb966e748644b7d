"""The controls beside the drift: what no relation, another seed, and no change at all give."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from repdrift.report.figures import FigureSpec, register
from repdrift.report.style import FULL_WIDTH_IN, GREY, method_color, method_marker, method_title, plain
from repdrift.report.tables import ReportData

_FLOOR = 1e-16


def draw(data: ReportData) -> Figure:
    """On a logarithmic scale, for every task: identity, drift of each method, drift between seeds, mispaired rows."""
    tasks = data.tasks
    figure = Figure(figsize=(FULL_WIDTH_IN, 0.7 + 0.62 * len(tasks)))
    axes = figure.add_subplot()
    for place, task in enumerate(tasks):
        _points(
            axes, place, [c.drift for c in data.controls("identity", task)], GREY, "x", "base twice (noise)", place == 0
        )
        for method in data.methods:
            drift = data.drift(task, method)
            if drift.empty:
                continue
            shift = 0.16 * (1 if method == data.methods[0] else -1)
            color, marker = method_color(method, data.methods), method_marker(method, data.methods)
            _points(
                axes,
                place + shift,
                list(drift.mean(axis=0)),
                color,
                marker,
                f"drift, {method_title(method)}",
                place == 0,
            )
            between = [c.drift for c in data.controls("seed_ceiling", task, method)]
            _points(axes, place + shift / 3, between, color, "|", f"between seeds, {method_title(method)}", place == 0)
        _points(
            axes,
            place,
            [c.drift for c in data.controls("mispaired", task)],
            "black",
            "1",
            "mispaired (no relation)",
            place == 0,
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(tasks)), [plain(task) for task in tasks])
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.set_xlabel("drift, 1 - debiased CKA (one mark a layer; logarithmic)")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=3)
    return figure


def _points(axes, height: float, values: list[float | None], color: str, marker: str, label: str, named: bool) -> None:
    known = [max(abs(v), _FLOOR) for v in values if v is not None and np.isfinite(v)]
    if known:
        axes.plot(
            known,
            np.full(len(known), height),
            marker,
            color=color,
            markersize=5,
            alpha=0.85,
            label=label if named else None,
        )


def caption(data: ReportData) -> str:
    """What is seen."""
    del data
    return (
        "A drift is worth speaking of where it lies well right of the noise (the base model extracted twice) and left of mispaired rows "
        "(no relation at all). Drift between two seeds of one method shows how far equal training ends apart."
    )


register(FigureSpec("controls", 5, "Drift beside its controls", caption, draw))
