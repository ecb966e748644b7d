"""Weights by module: the relative change of every kind in every layer, and ranks and intruder dimensions by kind and by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from repdrift.core.records.comparison import Comparison
from repdrift.core.study_weights_words import study_weights_worded
from repdrift.core.weights_words import model_weights_worded
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import counted, percent
from repdrift.report.page.answers import answer_of_models
from repdrift.report.page.arm_marks import (  # fmt: skip
    CONTROL_GREY,
    arm_color,
    arm_colors,
    arm_legend,
    arm_shape,
    model_colors,
    names_axis,
    tooltip,
)
from repdrift.report.page.contents import INSIDE, View
from repdrift.report.page.layer_axis import layer_cells
from repdrift.report.page.layer_lines import layer_lines, typed
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.page.weight_rows import QUANTITIES, comparison_cells, comparison_groups, study_cells, study_groups
from repdrift.report.report_data import ReportData

_CELLS = {"arm": "method", "kind": "module", "layer": "layer", "relative_change": "relative change", "intruders": "intruder dimensions of a model", "models": "models"}  # fmt: skip
_GROUPS = {"panel": "what", "task": "task", "arm": "method", "value": "value", "sd": "standard deviation", "models": "models"}  # fmt: skip


def cells_of_study(data: ReportData) -> View | None:
    """The heatmaps of a study; None without weights."""
    section = study_weights_worded(data.results)
    return None if section is None else _cells(study_cells(data), [("", section)], "geometric mean over the final models of all tasks")  # fmt: skip


def cells_of_comparison(comparison: Comparison) -> View | None:
    """The heatmaps of a comparison; None without weights."""
    sections = [
        (
            model.name,
            replace(model_weights_worded(model.moved.weights), title=f"What moved in the weights of {model.name}"),
        )
        for model in comparison.models
        if model.moved is not None and model.moved.weights is not None
    ]
    return _cells(comparison_cells(comparison), sections, "of each model") if sections else None


def _cells(rows: pd.DataFrame, sections: Sequence[tuple[str, WordedSection]], what: str) -> View | None:
    known = rows["relative_change"].dropna().astype(float)
    if not (known > 0).any():
        return None
    return View(
        name="weights",
        title="Which weights changed",
        answer=answer_of_models(sections),
        caption=f"Colour: ||dW|| / ||W|| of the weights of a kind in a layer, joined, {what}, on a logarithmic scale. Dot: nothing changed; cross: no value. Weights outside the blocks stand in Weights by kind of module. Hover says the intruder "
        "dimensions too: leading directions of the tuned matrix that are near none of the base's.",
        spec=_cells_spec(rows),
        rows=rows,
        filters=("arm",),
        panel_by="arm",
        selects={"layer": "layer"},
        keyboard=("layer", "kind"),
        shown=_CELLS,
        tables=[section for _, section in sections],
        group=INSIDE,
    )


def _cells_spec(rows: pd.DataFrame) -> dict[str, Any]:
    known = rows["relative_change"].dropna().astype(float)
    low, high = float(known[known > 0].min()), float(known.max())
    domain = [max(low, high / 1e4), high] if high > low else [high / 10, high]
    scale = alt.Scale(type="log", domain=domain, scheme="viridis", clamp=True)
    ends = [domain[0], (domain[0] * domain[1]) ** 0.5, domain[1]]
    legend = alt.Legend(orient="bottom", gradientLength=180, titleAnchor="start", format=".2~r", values=ends)
    x = layer_cells(rows["layer"])
    y = alt.Y("kind:N", title=None, sort=list(dict.fromkeys(rows["kind"])), axis=names_axis(130))
    shown = tooltip(typed(rows, _CELLS))
    base = alt.Chart(alt.NamedData("rows"))
    color = alt.Color("relative_change:Q", title="relative change", scale=scale, legend=legend)
    cells = base.transform_filter("datum.relative_change > 0").mark_rect().encode(x, y, color, tooltip=shown)
    same = (
        base.transform_filter("isValid(datum.relative_change) && datum.relative_change <= 0")
        .mark_point(shape="circle", filled=True, size=9, color=CONTROL_GREY)
        .encode(x, y, tooltip=shown)
    )
    absent = (
        base.transform_filter("!isValid(datum.relative_change)")
        .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", color=CONTROL_GREY, size=50, strokeWidth=1.5)
        .encode(x, y, tooltip=shown)
    )
    chart = alt.layer(cells, same, absent).properties(height={"step": 20}, usermeta={"rowsBy": "kind"})
    return chart.to_dict()


def groups_of_study(data: ReportData) -> list[View]:
    """The charts by kind and by layer of a study."""
    return _groups(study_groups(data), arm_colors(data), "mean over the seeds of a task")


def _kinds(rows: pd.DataFrame, colors: Mapping[str, str], what: str) -> View | None:
    rows = rows[rows["part"] == "kind"].drop(columns=["part", "layer"]).reset_index(drop=True)
    if rows.empty:
        return None
    shown = {**_GROUPS, "kind": "module"}
    return View(
        name="weights_by_kind",
        title="Weights by kind of module",
        answer=_extremes(rows, "kind"),
        caption=f"Marks: {what}. Relative change of the changed weights joined; rank: how many directions carry 90 % of the change of a matrix, median over the changed matrices; "
        "intruder dimensions: leading directions of the tuned matrix that are near none of the base's, as a share of those that were looked at.",
        spec=_kinds_spec(rows, colors, shown),
        rows=rows,
        filters=("task", "arm"),
        panel_by="panel",
        keyboard=("kind", "arm"),
        shown=shown,
        group=INSIDE,
        legend=arm_legend(colors),
    )


def _layers(rows: pd.DataFrame, colors: Mapping[str, str], what: str) -> View | None:
    rows = rows[rows["part"] == "layer"].drop(columns=["part", "kind"]).reset_index(drop=True)
    if rows.empty:
        return None
    rows = rows.astype({"layer": int})
    shown = {**_GROUPS, "layer": "layer"}
    return View(
        name="weights_by_layer",
        title="Weights by layer",
        answer=_extremes(rows, "layer"),
        caption=f"Points: {what}; line: mean over the tasks that are shown. The numbers are those of the chart by kind of module, over all weights of a layer.",
        spec=layer_lines(rows, colors, shown, title=None),
        rows=rows,
        filters=("task", "arm"),
        panel_by="panel",
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown=shown,
        group=INSIDE,
        legend=arm_legend(colors),
    )


def _extremes(rows: pd.DataFrame, by: Literal["kind", "layer"]) -> list[str]:
    """For each method, where the relative change is largest and smallest by its mean over tasks, and the ranks of the changes there."""
    said: list[str] = []
    for arm, of_arm in rows.groupby("arm", sort=False):
        found = {
            name: of_arm[of_arm["panel"] == title].groupby(by, sort=False)["value"].mean().dropna()
            for name, title in QUANTITIES.items()
        }
        change, ranks = found["relative_change"], found["rank_90"]
        if change.empty:
            continue
        where = "layer {}" if by == "layer" else "{}"
        most, least = (where.format(at) for at in (change.idxmax(), change.idxmin()))
        line = f"{arm}: the relative change is largest in {most} ({percent(change.max())})"
        line += f" and smallest in {least} ({percent(change.min())})" if len(change) > 1 else ""
        if len(ranks):
            low, high = (counted(round(float(at)), "direction") for at in (ranks.min(), ranks.max()))
            line += f"; 90 % of a change lies in {low if low == high else f'{round(float(ranks.min()))} to {high}'}"
        said.append(f"{line}.")
    return said[:3]


def _groups(rows: pd.DataFrame, colors: Mapping[str, str], what: str) -> list[View]:
    return [view for make in (_kinds, _layers) if (view := make(rows, colors, what)) is not None]


def _kinds_spec(rows: pd.DataFrame, colors: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, Any]:
    names = list(dict.fromkeys(rows["kind"]))
    x = alt.X("value:Q", title=None, scale=alt.Scale(domainMin=0))
    y = alt.Y("kind:N", title=None, sort=names, axis=names_axis(130))
    base = alt.Chart(alt.NamedData("rows"))
    marks = base.mark_point(filled=True, size=50, opacity=0.85).encode(
        x, y, alt.YOffset("arm:N", sort=list(colors)), arm_color(colors), arm_shape(colors), tooltip=tooltip(typed(rows, shown))
    )  # fmt: skip
    step = int(np.clip(9 * len(colors), 20, 60))
    return marks.properties(height={"step": step}, usermeta={"rowsBy": "kind"}).to_dict()


def _one(views: Sequence[View], name: str) -> View | None:
    return next((view for view in views if view.name == name), None)


def _of_models(comparison: Comparison, name: str) -> View | None:
    view = _one(_groups(comparison_groups(comparison), model_colors(comparison), "single models"), name)
    return None if view is None else replace(view, filters=("arm",))


register(ViewSpec("weights", 40, of_study=cells_of_study, of_comparison=cells_of_comparison))
for _order, _name in ((41, "weights_by_kind"), (42, "weights_by_layer")):
    register(
        ViewSpec(
            _name,
            _order,
            of_study=lambda data, name=_name: _one(groups_of_study(data), name),
            of_comparison=lambda comparison, name=_name: _of_models(comparison, name),
        )
    )
