"""Shares of the change by kind of map, stacked by layer: a panel for each task and method, means over seeds."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.directions_words import KIND_WORDS, share_of
from repdrift.core.records.directions import LayerDirections, RunDirections
from repdrift.core.words import counted, method_title, percent, task_title
from repdrift.report.direction_panels import KEYS, RANDOM_KEY, Floats, column, stacked_shares
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.labels import FONT_PT
from repdrift.report.panels import PanelPlan, draw_grid, label_outer, legend_above, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import method_names, task_names

_PANEL_IN = 1.4


def _plan(data: ReportData) -> PanelPlan:
    return panel_plan(len(_cells(data)), _PANEL_IN + 0.13, least_in=2.0, most_columns=3, besides_in=1.2)


def draw(data: ReportData) -> Figure:
    """A panel for each task and method, all on one scale."""
    plan = _plan(data)
    figure = Figure()
    panels = draw_grid(figure, plan, sharey=True)
    cells = list(_cells(data))
    tasks = task_names(list(dict.fromkeys(task for task, _ in cells)), plan.width_pt, FONT_PT)
    methods = method_names(list(dict.fromkeys(method for _, method in cells)), plan.width_pt)
    has_random = False
    for axes, ((task, method), runs) in zip(panels, _cells(data).items(), strict=False):
        layers = [at.layer for at in runs[0].found.layers]
        shares = {kind: column([_mean_share(runs, layer, kind) for layer in layers]) for kind in KIND_WORDS}
        random = column([_mean_random(runs, layer) for layer in layers])
        known = bool(np.isfinite(random).any())
        has_random |= known
        stacked_shares(axes, layers, shares, random if known else None, room=plan.room)
        panel_title(axes, tasks[task], [methods[method]], plan.width_pt)
    label_outer(panels, plan)
    _one_scale(panels)
    figure.supylabel("share of the change", fontsize=FONT_PT)
    keys = [*KEYS, *([RANDOM_KEY] if has_random else [])]
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys], most=3 if is_narrow() else 6)
    figure.set_size_inches(page_width_in(), 0.35 + height + (_PANEL_IN + 0.13) * plan.rows)
    return figure


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    random = any(
        _random_share(at) is not None for runs in _cells(data).values() for run in runs for at in run.found.layers
    )
    return (
        "Shares of the squared differences between tuned and base model, on held-out samples, means over seeds. Each map is added to those below it, so that shares add up to "
        "100 %; one below 0 meets new samples worse than without it. Debiased CKA sees neither shift, rotation nor scaling."
        + (" Dashes: the share of a shift where the weights are moved at random as far." if random else "")
        + _plan(data).says_what_is_left_out("directions.parquet has all")
    )


def describe(data: ReportData) -> str:
    """Says which kind accounts for most of the change of each method on each task."""
    said: list[str] = []
    for (task, method), runs in _cells(data).items():
        layers = [at for run in runs for at in run.found.layers if at.shares]
        means = {kind: fmean(share_of(at, kind).share for at in layers) for kind in KIND_WORDS}
        kind = max(means, key=lambda kind: means[kind])
        said.append(
            f"{task_title(task)}, {method_title(method)}: {percent(means[kind])} of the change goes to {KIND_WORDS[kind]} ({counted(len(runs), 'model')})."
        )
    return " ".join(said)


def _cells(data: ReportData) -> dict[tuple[str, str], list[RunDirections]]:
    """The runs of each task and method that have shares."""
    moved = data.results.moved
    found: dict[tuple[str, str], list[RunDirections]] = {}
    for run in () if moved is None or moved.directions is None else moved.directions.runs:
        if any(at.shares for at in run.found.layers):
            found.setdefault((run.task, run.method), []).append(run)
    return found


def _at(runs: list[RunDirections], layer: int) -> list[LayerDirections]:
    return [at for run in runs for at in run.found.layers if at.layer == layer]


def _mean_share(runs: list[RunDirections], layer: int, kind: str) -> float | None:
    values = [share_of(at, kind).share for at in _at(runs, layer) if at.shares]
    return fmean(values) if values else None


def _random_share(at: LayerDirections) -> float | None:
    return None if at.beside_random is None else at.beside_random.random_shift_share


def _mean_random(runs: list[RunDirections], layer: int) -> float | None:
    values = [share for at in _at(runs, layer) if (share := _random_share(at)) is not None]
    return fmean(values) if values else None


def _one_scale(panels: list[Any]) -> None:
    ends: Floats = np.array([axes.get_ylim() for axes in panels])
    for axes in panels:
        axes.set_ylim(float(ends[:, 0].min()), float(ends[:, 1].max()))


register(
    FigureSpec(
        "directions",
        24,
        "In which directions the representations moved",
        caption,
        describe,
        draw,
        absent=lambda data: None if _cells(data) else no_section(data, "directions"),
    )
)
