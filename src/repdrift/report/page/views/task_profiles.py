"""Task profiles: which layers move on each task, relative to its mean over layers, a panel for each method."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import counted, listed, method_title, number, short_number, task_title
from repdrift.report.page.arm_marks import DASHES, SHAPES, look, tooltip
from repdrift.report.page.contents import LegendEntry, View
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_COLORS = ("#858585", "#8f6fc4", "#8f8420", "#a5673f", "#5b87a6", "#b0487a")
"""Shades for tasks, which can be seen on light and dark paper: duller than the colours of methods; dashes and shapes tell them apart too."""
_SHOWN = {"arm": "method", "task": "task", "layer": "layer", "relative": "drift by the task's mean", "drift": "mean drift over models", "models": "models"}  # fmt: skip
_MOST_PAIRS = 3


def of_study(data: ReportData) -> View | None:
    """The profiles of a study; None for one task, or one layer, or where no drift lies above zero."""
    rows = profile_rows(data)
    if rows["task"].nunique() < 2 or rows["layer"].nunique() < 2:
        return None
    tasks = [title for title in task_titles(data).values() if (rows["task"] == title).any()]
    return View(
        name="task_profiles",
        title="Do the same layers move on all tasks",
        answer=[*_parting(rows), *_answer(data)],
        caption="Drift of a layer, mean over models, divided by the mean of the task over all layers: 1 is a layer that moves as much as the average layer, so that tasks that drift more or less "
        "altogether can be compared. Where lines of tasks part, other layers move. A task whose mean is not above zero is left out.",
        spec=_spec(rows, tasks),
        rows=rows,
        filters=("task", "arm"),
        panel_by="arm",
        one_scale=("relative",),
        selects={"layer": "layer"},
        keyboard=("layer", "task"),
        shown=_SHOWN,
        tables=_correlations(data),
        group="How much, where",
        legend=[
            LegendEntry(task, color, dash, SHAPES[shape])
            for task, (color, dash, shape) in zip(tasks, _looks(len(tasks)), strict=True)
        ],
    )


def profile_rows(data: ReportData) -> pd.DataFrame:
    """One row for each method, task and layer with a mean drift, and that drift divided by the mean over layers."""
    arms, tasks = arm_titles(data), task_titles(data)
    rows: list[dict[str, object]] = []
    for method in data.methods:
        for task in data.tasks:
            drift = data.drift(task, method)
            means = drift.mean(axis=0).to_numpy(dtype=float)
            whole = float(np.nanmean(means)) if np.isfinite(means).any() else float("nan")
            if not whole > 0:
                continue
            rows += [
                {"arm": arms[method], "task": tasks[task], "layer": layer, "relative": value / whole, "drift": value, "models": count}
                for layer, value, count in zip(data.layers, means.tolist(), drift.notna().sum(axis=0).tolist(), strict=True)
                if np.isfinite(value)
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(_SHOWN))


def _parting(rows: pd.DataFrame) -> list[str]:
    """The method and layer in which the profiles of the tasks lie farthest apart, with the two tasks."""
    spread = rows.groupby(["arm", "layer"], sort=False)["relative"].agg(lambda of: of.max() - of.min())
    if spread.empty or not spread.max() > 0:
        return []
    arm, layer = spread.index[int(spread.to_numpy().argmax())]
    here = rows[(rows["arm"] == arm) & (rows["layer"] == layer)].sort_values("relative")
    most, least = here.iloc[-1], here.iloc[0]
    return [
        f"Tasks part most in layer {layer} under {arm}: it moves {short_number(float(most['relative']))} times as much as the mean layer on {most['task']}, and "
        f"{short_number(float(least['relative']))} times as much on {least['task']}."
    ]


def _answer(data: ReportData) -> list[str]:
    """The two tasks whose profiles are least alike, for each of the first methods, and what that number is not."""
    said: list[str] = []
    for method in data.methods:
        found = [(p, p.spearman) for p in data.results.profiles if p.method == method and p.spearman is not None]
        if found:
            least, value = min(found, key=lambda item: item[1])
            pair = listed([task_title(least.task), task_title(least.other_task)])
            said.append(f"{method_title(method)} {value:.2f} ({pair})")
    if not said:
        return []
    more = f" and {counted(len(said) - _MOST_PAIRS, 'more method')} below" if len(said) > _MOST_PAIRS else ""
    return [
        f"Rank correlation over layers of the two tasks that are least alike: {'; '.join(said[:_MOST_PAIRS])}{more}. Near 1 the layers stand in the same order on both. There is no interval and no test: layers are not independent units."
    ]


def _correlations(data: ReportData) -> list[WordedSection]:
    rows = [
        [
            method_title(p.method),
            task_title(p.task),
            task_title(p.other_task),
            number(p.pearson, missing="none"),
            number(p.spearman, missing="none"),
        ]
        for p in data.results.profiles
    ]
    if not rows:
        return []
    caption = (
        "Correlation over layers of the mean drifts of two tasks. Layers are not independent units, so there is no p."
    )
    table = CaptionedTable("Every two tasks", caption, ("method", "task", "other task", "Pearson", "Spearman"), rows)
    return [WordedSection("task_profiles", "Likeness of the tasks' profiles", tables=[table])]


def _looks(count: int) -> list[tuple[str, list[int], str]]:
    shapes = list(SHAPES)
    return [
        (
            _COLORS[at % len(_COLORS)],
            list(DASHES[(at + at // len(_COLORS)) % len(DASHES)]),
            shapes[(at + at // len(shapes)) % len(shapes)],
        )
        for at in range(count)
    ]


def _spec(rows: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    looks = _looks(len(tasks))
    colors, dashes, shapes = ([each[part] for each in looks] for part in range(3))
    x = layer_axis(rows["layer"])
    y = alt.Y("relative:Q", title="drift, by the mean over layers")
    color = alt.Color("task:N", **look(tasks, colors))
    base = alt.Chart(alt.NamedData("rows"))
    shown = tooltip(typed(rows, _SHOWN))
    line = base.mark_line(strokeWidth=1.8).encode(x, y, color, alt.StrokeDash("task:N", **look(tasks, dashes)))
    points = base.mark_point(filled=True, size=28, opacity=1).encode(x, y, color, alt.Shape("task:N", **look(tasks, shapes)), tooltip=shown)  # fmt: skip
    one = base.transform_aggregate(rows="count()").transform_calculate(at="1").mark_rule(color="#858585", strokeDash=[2, 3]).encode(alt.Y("at:Q"))  # fmt: skip
    return (
        alt.layer(chosen_rule(base, x), one, line, points).add_params(chosen_layer()).properties(height=220).to_dict()
    )


register(ViewSpec("task_profiles", 16, of_study=of_study))
