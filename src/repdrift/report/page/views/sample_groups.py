"""Groups of samples: how much more or less they moved than all others, with intervals, a panel for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.sample_moves import GroupMoves, GroupOverModels
from repdrift.core.sample_words import group_words
from repdrift.core.words import counted, number, p_equals
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
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_SHOWN = {
    "task": "task", "group": "group", "arm": "method", "ratio": "ratio to all others", "low": "low", "high": "high", "over": "interval", "p": "p of the ratio being 1, corrected", "random": "after a random change", "n": "samples", "note": "note",
}  # fmt: skip
_ALPHA = 0.05
"""Level at which a comparison, which has none of its own, calls a ratio shown."""
_NUMBERS = ["ratio", "low", "high", "p", "random", "n"]


def of_study(data: ReportData) -> View | None:
    """The groups of a study; None if there are none with a number."""
    moved = data.results.moved
    found = moved.samples.tasks if moved is not None and moved.samples is not None else []
    tasks, arms = task_titles(data), arm_titles(data)
    rows = [
        {"task": tasks[task.task], "arm": arms[at.method], **_over_models(at)}
        for task in found
        for at in task.groups
        if at.method in arms
    ]
    return _view(rows, arm_colors(data), data.results.study.alpha)


def of_comparison(comparison: Comparison) -> View | None:
    """The groups of a comparison; None if there are none with a number."""
    rows = [
        {"task": comparison.task, "arm": model.name, **_of_model(at)}
        for model in comparison.models
        if model.moved is not None and model.moved.samples is not None
        for at in model.moved.samples.groups
    ]
    view = _view(rows, model_colors(comparison), _ALPHA)
    return None if view is None else replace(view, filters=("arm",))


def _over_models(at: GroupOverModels) -> dict[str, object]:
    """The interval over models where there is one, else the one over samples."""
    of_models = at.low is not None and at.high is not None
    low, high = (at.low, at.high) if of_models else (at.samples_low, at.samples_high)
    over = "over models" if of_models else "over samples, for these models" if low is not None else "none"
    words = group_words(GroupMoves(by=at.by, column=at.column, value=at.value, n=at.n))
    return {"group": words, "ratio": at.ratio, "low": low, "high": high, "over": over, "p": at.p_adjusted, "random": at.random_ratio, "n": at.n, "note": at.note}  # fmt: skip


def _of_model(at: GroupMoves) -> dict[str, object]:
    over = "none" if at.low is None else "over samples, for this model"
    return {"group": group_words(at), "ratio": at.ratio, "low": at.low, "high": at.high, "over": over, "p": at.p_adjusted, "random": at.random_ratio, "n": at.n, "note": at.note}  # fmt: skip


def _view(found: list[dict[str, object]], colors: Mapping[str, str], alpha: float) -> View | None:
    rows = pd.DataFrame(found, columns=list(_SHOWN)).astype(dict.fromkeys(_NUMBERS, float))
    if not (rows["ratio"] > 0).any():
        return None
    return View(
        name="sample_groups",
        title="Which groups of samples moved",
        answer=[_farthest_from_one(rows, alpha)],
        caption="Mean movement of the samples of a group by that of all others; right of the line the group moved more. Bar: interval, hover says over what; it is not corrected, but p is, over all "
        "groups. Cross: the same after a random change of the weights as large as training's: where the group lies, not what training did.",
        spec=_spec(rows, colors),
        rows=rows,
        filters=("task", "arm"),
        panel_by="task",
        keyboard=("group", "arm"),
        shown=_SHOWN,
        group=INSIDE,
        legend=arm_legend(colors),
    )


def _farthest_from_one(rows: pd.DataFrame, alpha: float) -> str:
    """The group whose ratio lies farthest from 1, with what tells whether it is more than chance, and more than where the group lies."""
    known = rows[rows["ratio"] > 0]
    shown = known[known["p"] <= alpha]
    among = shown if len(shown) else known
    most = among.iloc[int(np.abs(np.log(among["ratio"].to_numpy(dtype=float))).argmax())]
    if len(shown):
        lead = f"{len(shown)} of {counted(len(known), 'ratio')} {'is' if len(shown) == 1 else 'are'} shown to differ from 1; the farthest"
    else:
        lead = "No group is shown to move more or less than the others; the ratio farthest from 1"
    said = f"{lead}: {most['group']} ({most['task']}, {most['arm']}) moved {number(most['ratio'])} times as far as all others"
    if np.isfinite(most["low"]) and np.isfinite(most["high"]):
        said += f" (interval {number(most['low'])} to {number(most['high'])} {most['over']})"
    p = most["p"]
    said += f", {p_equals(p)} corrected over all groups" if np.isfinite(p) else ", without a test"
    if np.isfinite(most["random"]):
        said += f"; after a random change of the weights as large, {number(most['random'])} times"
    return f"{said}."


def _spec(rows: pd.DataFrame, colors: Mapping[str, str]) -> dict[str, Any]:
    scale = alt.Scale(type="log", nice=False, padding=10)
    y = alt.Y("group:N", title=None, sort=None, axis=names_axis(160))
    offset = alt.YOffset("arm:N", sort=list(colors))
    shown = tooltip(typed(rows, _SHOWN))
    base = alt.Chart(alt.NamedData("rows")).transform_filter("datum.ratio > 0")
    x = alt.X("ratio:Q", title="times as far as all others", scale=scale)
    bars = (
        base.transform_filter("datum.low > 0 && isValid(datum.high)")
        .mark_rule(strokeWidth=3, opacity=0.45)
        .encode(alt.X("low:Q", scale=scale), alt.X2("high:Q"), y, offset, arm_color(colors), tooltip=shown)
    )
    points = base.mark_point(filled=True, size=55, opacity=1).encode(x, y, offset, arm_color(colors), arm_shape(colors), tooltip=shown)  # fmt: skip
    random = (
        base.transform_filter("datum.random > 0")
        .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", color=CONTROL_GREY, size=55, strokeWidth=1.5)
        .encode(alt.X("random:Q", scale=scale), y, offset, tooltip=shown)
    )
    one = base.transform_aggregate(rows="count()").transform_calculate(at="1").mark_rule(color=CONTROL_GREY).encode(alt.X("at:Q", scale=scale))  # fmt: skip
    step = max(24, 12 * len(colors))
    chart = alt.layer(one, bars, points, random).properties(height={"step": step}, usermeta={"rowsBy": "group"})
    return chart.to_dict()


register(ViewSpec("sample_groups", 62, of_study=of_study, of_comparison=of_comparison))
