"""Drift inside the blocks: a panel for every task and method, a line for every site."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.site_drift import SiteDrift
from repdrift.core.site_words import is_in_block, site_title
from repdrift.core.words import method_title, short_number, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures._panels import named_legend
from repdrift.report.labels import FONT_PT, wrapped
from repdrift.report.panels import PanelPlan, draw_grid, label_outer, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.site_style import RANDOM_CHANGE, site_axis, site_look
from repdrift.report.style import FAINT, INK, method_names, task_names

_PANEL_IN = 1.5


def _panels(data: ReportData) -> list[tuple[str, str, list[SiteDrift]]]:
    """Returns task, method and drift by site of every panel; several tasks together are no panel."""
    return [
        (of.task, method, [at for at in of.drifts if at.method == method])
        for of in data.results.sites
        if of.task != ALL_TASKS
        for method in dict.fromkeys(at.method for at in of.drifts)
    ]


def _plan(data: ReportData) -> PanelPlan:
    return panel_plan(len(_panels(data)), _PANEL_IN + 0.15, least_in=1.9, most_columns=3)


def draw(data: ReportData) -> Figure:
    """Panels on one scale, as many as fit on a page."""
    plan = _plan(data)
    figure = Figure()
    panels = draw_grid(figure, plan, sharey=True, sharex=True)
    tasks, methods = task_names(data.tasks, plan.width_pt, FONT_PT), method_names(data.methods, plan.width_pt)
    for axes, (task, method, drifts) in zip(panels, _panels(data), strict=False):
        _panel(axes, data, task, method, drifts)
        panel_title(axes, tasks[task], [methods[method]], plan.width_pt)
        layers = sorted({layer for at in drifts for layer in at.layers})
        blocks = sorted({layer for at in drifts if is_in_block(at.site) for layer in at.layers})
        site_axis(axes, layers, blocks, room=plan.room)
    label_outer(panels, plan)
    height = named_legend(figure, panels)
    definition = drift_definition(data.results.study, data.results.study.primary_measure)
    figure.supylabel("\n".join(wrapped(f"drift, {definition}", 72 * _PANEL_IN * plan.rows)), fontsize=FONT_PT)
    figure.set_size_inches(page_width_in(), 0.4 + height + (_PANEL_IN + 0.13) * plan.rows)
    return figure


def _panel(axes: Axes, data: ReportData, task: str, method: str, drifts: list[SiteDrift]) -> None:
    for at in drifts:
        look = site_look(at.site)
        means = [np.nan if drift is None else drift for drift in at.by_layer]
        rows = _rows(data, task, method, at.site)
        if len(rows):
            by_layer = rows.groupby("layer")["drift"]
            low, high = (of.reindex(at.layers).to_numpy(dtype=float) for of in (by_layer.min(), by_layer.max()))
            axes.fill_between(at.layers, low, high, color=look["color"], alpha=0.15, linewidth=0)
            random = rows.groupby("layer")["random_change_drift"].mean().reindex(at.layers)
            if random.notna().any():
                axes.plot(at.layers, random.to_numpy(dtype=float), color=look["color"], **RANDOM_CHANGE)
                axes.plot([], [], color=INK, label="random change", **RANDOM_CHANGE)
        axes.plot(at.layers, means, label=site_title(at.site), markevery=max(1, len(at.layers) // 12), **look)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)


def _rows(data: ReportData, task: str, method: str, site: str) -> pd.DataFrame:
    """Returns the rows of the final models by the primary measure at one site."""
    parts = [data.table] if data.other_sites is None else [data.table, data.other_sites]
    study = data.results.study
    found = [
        table[
            (table["task"] == task)
            & (table["method"] == method)
            & (table["site"] == site)
            & (table["step"] == 0)
            & (table["measure"] == study.primary_measure)
        ]
        for table in parts
    ]
    return pd.concat(found) if len(found) > 1 else found[0]


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    return (
        "Line: mean over seeds; band: smallest to largest of the trained models (not a confidence interval). The attention output and the MLP output are "
        "what each adds to the residual stream. Drift is 1 - CKA, so that sites of different size can be compared. Embeddings stand before "
        "layer 0, the output of the final norm after the last. Dashed: the base model after a random change of the same size."
        + _plan(data).says_what_is_left_out("the tables have all tasks and methods")
    )


def describe(data: ReportData) -> str:
    """Says the mean drift of every site, for every task and method."""
    parts = [
        f"{task_title(task)}, {method_title(method)}: "
        + ", ".join(
            f"{site_title(at.site)} {'missing' if at.drift is None else short_number(at.drift)}" for at in drifts
        )
        for task, method, drifts in _panels(data)
    ]
    return f"Lines of mean drift by layer, one for each site. Means over layers: {'; '.join(parts)}."


register(
    FigureSpec(
        "drift_by_site",
        21,
        "Drift inside the blocks",
        caption,
        describe,
        draw,
        absent=lambda data: (
            None
            if _panels(data)
            else "the residual stream alone was read: name other sites in the study file, `extraction: {sites: [...]}` (docs/explanation/sites.md)"
        ),
    )
)
