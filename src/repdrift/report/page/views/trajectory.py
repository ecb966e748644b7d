"""Drift over training: the mean over layers at every checkpoint and of the final model, a panel for each task."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import percent, short_number, some_listed
from repdrift.report.page.arm_marks import arm_color, arm_colors, arm_dash, arm_legend, arm_shape, tooltip
from repdrift.report.page.contents import View
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_FINAL_GAP = 0.14
"""Distance of the final model from the last checkpoint, as a share of the axis."""
_SHOWN = {"arm": "method", "task": "task", "seed": "seed", "when": "step", "drift": "mean drift"}


def of_study(data: ReportData) -> View | None:
    """The trajectories of a study; None if it has no checkpoints."""
    if not data.checkpoint_steps:
        return None
    study, rows = data.results.study, trajectory_rows(data)
    return View(
        name="trajectory",
        title="Drift over training",
        answer=_answer(data, rows),
        caption="Drift of the checkpoints from the base model, mean over layers. Thick: mean over the models that are shown; thin: single models; ring: a mean over fewer models "
        "than at other steps. The final model stands after the last checkpoint. Steps are not compared: a step means another skill for every method.",
        spec=_spec(data, f"drift, {drift_definition(study, study.primary_measure)}, mean over layers"),
        rows=rows,
        filters=("task", "arm", "seed"),
        panel_by="task",
        one_scale=("drift",),
        log_fields=("drift",),
        keyboard=("when", "arm"),
        shown=_SHOWN,
        group="How much, where",
        legend=arm_legend(arm_colors(data)),
    )


def trajectory_rows(data: ReportData) -> pd.DataFrame:
    """One row for each model and step: mean drift over layers, missing where a layer is. at: the place on the axis."""
    steps = data.checkpoint_steps
    final = steps[-1] + _FINAL_GAP * max(steps[-1] - steps[0], steps[-1] / 2)
    rows = data.table[data.table["measure"] == data.results.study.primary_measure]
    layers = rows.pivot(index=["task", "method", "seed", "step"], columns="layer", values="drift")
    means = layers.reindex(columns=data.layers).mean(axis=1, skipna=False).rename("drift").reset_index()
    means = means[means["step"].isin([0, *steps])]
    order = {name: place for place, name in enumerate([*data.tasks, *data.methods])}
    means = means.sort_values(["task", "method"], key=lambda names: names.map(order), kind="stable")
    return means.assign(
        task=means["task"].map(task_titles(data)),
        arm=means["method"].map(arm_titles(data)),
        at=means["step"].where(means["step"] != 0, final),
        when=means["step"].map(lambda step: "final" if step == 0 else str(step)),
    )[["task", "arm", "seed", "when", "at", "drift"]].reset_index(drop=True)


def _answer(data: ReportData, rows: pd.DataFrame) -> list[str]:
    """The share of each arm's final drift that was there at the first checkpoint, over the tasks and seeds that have both."""
    first = str(data.checkpoint_steps[0])
    wide = rows.pivot(index=["task", "arm", "seed"], columns="when", values="drift")
    if not {first, "final"} <= set(wide.columns):
        return []
    both = wide[[first, "final"]].dropna().groupby("arm").mean()
    both = both.reindex([arm for arm in arm_titles(data).values() if arm in both.index])
    said = [
        f"{arm} {percent(early / final)} of {short_number(final)}" if final > 0 else f"{arm} no drift"
        for arm, (early, final) in ((str(name), values) for name, values in both.iterrows())
    ]
    return (
        [f"At step {first} the models had these shares of their final mean drift: {some_listed(said)}."] if said else []
    )


def _spec(data: ReportData, title: str) -> dict[str, Any]:
    colors = arm_colors(data)
    steps = data.checkpoint_steps
    every = -(-len(steps) // 5)
    final = steps[-1] + _FINAL_GAP * max(steps[-1] - steps[0], steps[-1] / 2)
    margin = 0.06 * (final - steps[0])
    axis = alt.Axis(
        values=[*list(steps)[::-1][::every][::-1], final],
        labelExpr=f"datum.value > {steps[-1]} ? 'final' : format(datum.value, ',')",
        grid=False,
        labelOverlap=True,
    )
    scale = alt.Scale(domain=[steps[0] - margin, final + margin], nice=False, zero=False)
    x = alt.X("at:Q", title="training step", axis=axis, scale=scale)
    y = alt.Y("drift:Q", title=title)
    base = alt.Chart(alt.NamedData("rows"))
    shown = tooltip({"arm:N": "method", "seed:N": "seed", "when:N": "step", "drift:Q": "mean drift"})
    single = base.mark_line(strokeWidth=0.8, opacity=0.6).encode(x, y, arm_color(colors), detail=["seed:N"])
    hit = base.mark_point(filled=True, size=14, opacity=0.6).encode(x, y, arm_color(colors), tooltip=shown)
    means = (
        base.transform_aggregate(drift="mean(drift)", models="valid(drift)", groupby=["arm", "at", "when"])
        .transform_joinaggregate(most="max(models)", groupby=["arm"])
        .transform_filter("datum.models > 0")
    )
    of_means = tooltip({"arm:N": "method", "when:N": "step", "drift:Q": "mean drift", "models:Q": "mean over models"})
    line = means.mark_line().encode(x, y, arm_color(colors), arm_dash(colors), strokeWidth=alt.value(2.6))
    points = means.mark_point(filled=True, size=55, opacity=1).encode(
        x, y, arm_color(colors), arm_shape(colors), tooltip=of_means
    )
    fewer = (
        means.transform_filter("datum.models < datum.most")
        .mark_point(size=130, filled=False, strokeWidth=1.2)
        .encode(x, y, arm_color(colors), tooltip=of_means)
    )
    return alt.layer(single, hit, line, points, fewer).properties(height=240).to_dict()


register(ViewSpec("trajectory", 18, of_study=of_study))
