"""Outcomes after tuning: each score, loss or forgetting of every arm against the base model, with its interval."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.words import number, some_listed
from repdrift.report.page.arm_marks import (  # fmt: skip
    CONTROL_GREY,
    arm_color,
    arm_colors,
    arm_legend,
    arm_shape,
    names_axis,
    tooltip,
)
from repdrift.report.page.contents import View
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_INPUTS = {"task": "", "general_text": ", on general text", "benchmark": ", on a benchmark"}
_COLUMNS = ["panel", "task", "arm", "seeds", "shift", "low", "high", "value", "base", "drift", "n", "interval", "note"]
_SHOWN = {
    "panel": "outcome", "task": "task", "arm": "method", "shift": "change (value without a base)", "low": "low", "high": "high", "value": "value", "base": "base model", "drift": "mean drift",
    "seeds": "models", "n": "items", "interval": "interval", "note": "note",
}  # fmt: skip
_FORGETTING = "forgetting"


def of_study(data: ReportData) -> View | None:
    """The outcomes of a study's final models; None if it has none."""
    rows = outcome_rows(data)
    if rows.empty:
        return None
    return View(
        name="outcomes",
        title="What the models can do",
        answer=_answer(data),
        caption="Point: mean over the models of a method, minus the base model's number; the number itself where the base model has none (hover says both). Bar: interval, as hover "
        "says over what; without a bar there is none, and the note says why. The title of a panel says which.",
        spec=_spec(arm_colors(data)),
        rows=rows,
        filters=("task", "arm"),
        panel_by="panel",
        keyboard=("task", "arm"),
        shown=_SHOWN,
        group="What it did",
        legend=arm_legend(arm_colors(data)),
    )


def outcome_rows(data: ReportData) -> pd.DataFrame:
    """One row for each arm, task and outcome of the whole final models, with the mean drift of these models over layers."""
    found = data.results.outcomes
    tasks, arms = task_titles(data), arm_titles(data)
    rows: list[dict[str, object]] = []
    for at in found.arms if found is not None else []:
        if at.step or at.layer is not None or at.task not in tasks or at.method not in arms:
            continue
        info = None if found is None else found.info(at.outcome)
        title = at.outcome if info is None else f"{info.title} ({info.unit}{_better(info.higher_is_better)})"
        drift = data.drift(at.task, at.method)
        means = drift[drift.index.isin(at.seeds)].mean(axis=1, skipna=False)
        rows.append(
            {
                "panel": f"{title}{_INPUTS[at.inputs]}{'' if at.base_value is None else ', against the base model'}", "task": tasks[at.task], "arm": arms[at.method], "seeds": len(at.seeds), "shift": at.value if at.difference is None else at.difference,
                "low": at.low, "high": at.high, "value": at.value, "base": at.base_value, "drift": float(means.mean()) if len(means) else None,
                "n": at.n, "interval": at.interval or "none", "note": at.note,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def _better(higher: bool | None) -> str:
    return "" if higher is None else "; more is better" if higher else "; less is better"


def _answer(data: ReportData) -> list[str]:
    """The mean forgetting of every arm, over tasks; where it was not measured, nothing."""
    found = data.results.outcomes
    arms = arm_titles(data)
    said: list[str] = []
    for method, arm in arms.items():
        values = [
            at.value if at.difference is None else at.difference
            for at in (found.arms if found is not None else [])
            if at.outcome == _FORGETTING and at.method == method and not at.step and at.layer is None
        ]
        if values:
            said.append(f"{arm} {number(sum(values) / len(values))}")
    if not said:
        return []
    info = None if found is None else found.info(_FORGETTING)
    return [f"Forgetting{'' if info is None else f' ({info.unit})'}, mean over tasks: {some_listed(said)}."]


def _spec(colors: dict[str, str]) -> dict[str, Any]:
    y = alt.Y("task:N", title=None, sort=None, axis=names_axis(110))
    offset = alt.YOffset("arm:N", sort=list(colors))
    base = alt.Chart(alt.NamedData("rows"))
    x = alt.X("shift:Q", title=None, scale=alt.Scale(zero=False, padding=8))
    shown = tooltip(
        {
            f"{name}:{'Q' if name in ('shift', 'low', 'high', 'value', 'base', 'drift', 'n') else 'N'}": words
            for name, words in _SHOWN.items()
        }
    )
    bars = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=3, opacity=0.45)
        .encode(alt.X("low:Q"), alt.X2("high:Q"), y, offset, arm_color(colors), tooltip=shown)
    )
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x, y, offset, arm_color(colors), arm_shape(colors), tooltip=shown
    )
    zero = (
        base.transform_filter("isValid(datum.base)")
        .transform_aggregate(rows="count()")
        .transform_filter("datum.rows > 0")
        .transform_calculate(at="0")
        .mark_rule(color=CONTROL_GREY)
        .encode(alt.X("at:Q"))
    )
    step = max(30, 14 * len(colors))
    chart = alt.layer(zero, bars, points).properties(height={"step": step}, usermeta={"rowsBy": "task"})
    return chart.to_dict()


register(ViewSpec("outcomes", 33, of_study=of_study))
