"""The heatmap: mean drift of every arm in every layer, a panel for each task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.sites import RESID_POST
from repdrift.core.words import short_number
from repdrift.report.figures.heatmap import describe
from repdrift.report.page.arm_marks import tooltip
from repdrift.report.page.contents import View
from repdrift.report.page.drift_table import drift_table
from repdrift.report.page.layer_axis import CHOSEN_LAYER, chosen_layer, layer_cells
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

DECADES = 100.0
"""Largest by smallest drift above 0 from which on the scale is logarithmic."""
_TINY = 1e-30
"""A number above 0 and below every drift that can be told from 0."""
_OF_MEANS = "Ring at the end of a row: some of its planned models are missing. "
_LEAST_MODELS = 2
_FRAME: dict[str, Any] = {"filled": False, "stroke": "#ffffff", "strokeWidth": 2}
_SHOWN = {"arm:N": "method", "layer:O": "layer", "mean:Q": "mean drift", "models:Q": "mean over models", "planned:Q": "of"}  # fmt: skip


def of_study(data: ReportData) -> View:
    """The heatmap of a study."""
    study = data.results.study
    table = drift_table(data)
    start = table[(table["step"] == 0) & (table["measure"] == study.primary_measure) & (table["site"] == "resid_post")]
    return heatmap(table, start, drift_is=drift_definition(study, study.primary_measure), answer=[describe(data)])


def of_comparison(comparison: Comparison) -> View | None:
    """The heatmap of the models of a comparison by debiased CKA; None for fewer than two, of which the main chart says as much."""
    if len(comparison.compared) < _LEAST_MODELS:
        return None
    rows = [
        {"task": comparison.task, "arm": model.name, "seed": 0, "site": site, "layer": at.layer, "drift": at.drift}
        for model in comparison.compared
        for site, layers in [(RESID_POST, model.layers), *((of.site, of.layers) for of in model.sites)]
        for at in layers
    ]
    table = pd.DataFrame(rows)
    start = table[table["site"] == RESID_POST]
    most = start.iloc[int(start["drift"].to_numpy().argmax())]
    answer = f"The largest drift of all models and layers is {short_number(float(most['drift']))}, in layer {most['layer']} of {most['arm']}."
    view = heatmap(table, start, drift_is="1 - debiased CKA", answer=[answer])
    return replace(
        view,
        caption=view.caption.replace(", mean over the models that are shown", "").replace(_OF_MEANS, ""),
        filters=("arm", "site"),
        panel_by="",
        shown={"arm": "model", "layer": "layer", "drift": "drift"},
    )


def heatmap(table: pd.DataFrame, start: pd.DataFrame, *, drift_is: str, answer: list[str]) -> View:
    """Returns the heatmap of a table with `DRIFT_TABLE_COLUMNS`. start: its rows under the filters at the start, which decide on the scale."""
    logarithmic = spans_decades(start)
    scale = (
        "The scale is logarithmic; everything below its lower end has the darkest colour. "
        if logarithmic
        else "The scale is linear. "
    )
    return View(
        name="heatmap",
        title="Where it moved",
        answer=answer,
        caption=f"Colour: drift, {drift_is}, mean over the models that are shown. {scale}Crosses: no value. {_OF_MEANS}A click on a cell chooses its layer.",
        spec=_spec(start, logarithmic=logarithmic),
        rows=table,
        filters=("task", "arm", "seed", "step", "site", "measure"),
        panel_by="task",
        one_scale=("drift",),
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown={"task": "task", "arm": "method", "seed": "seed", "layer": "layer", "drift": "drift"},
        group="How much, where",
    )


def spans_decades(table: pd.DataFrame) -> bool:
    """Tells whether the mean drifts above 0 span two decades or more."""
    means = table.groupby(["task", "arm", "layer"], observed=True)["drift"].mean()
    above = means[means > 0]
    return bool(len(above)) and float(above.max()) >= DECADES * float(above.min())


def _spec(table: pd.DataFrame, *, logarithmic: bool) -> dict[str, Any]:
    means = (
        alt.Chart(alt.NamedData("rows"))
        .transform_aggregate(mean="mean(drift)", models="valid(drift)", planned="count()", groupby=["arm", "layer"])
        # A value at or below 0 has no logarithm: its colour is that of the lower end, and hover says it as it is.
        .transform_calculate(drift=f"max(datum.mean, {_TINY})" if logarithmic else "datum.mean")
    )
    x = layer_cells(table["layer"])
    y = alt.Y("arm:N", title=None, sort=None, axis=alt.Axis(labelLimit=130, ticks=False, domain=False))
    legend = alt.Legend(orient="bottom", gradientLength=150, format=".1~g", titleAnchor="start")
    scale = _scale(table, logarithmic=logarithmic)
    color = alt.Color("drift:Q", title="drift", scale=scale, legend=legend)
    shown = tooltip(_SHOWN)
    cells = means.transform_filter("datum.models > 0").mark_rect().encode(x, y, color, tooltip=shown)  # fmt: skip
    absent = means.transform_filter("datum.models == 0")
    without = tooltip({name: words for name, words in _SHOWN.items() if name != "mean:Q"})
    empty = absent.mark_rect(color="#858585", opacity=0.2).encode(x, y, tooltip=without)
    every = 1 + table["layer"].nunique() // 24
    cross = (
        absent.transform_filter(f"datum.layer % {every} == 0")
        .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", color="#858585", size=60, strokeWidth=1.5)
        .encode(x, y, tooltip=without)
    )
    fewer = (
        means.transform_filter("datum.models > 0 && datum.models < datum.planned")
        .transform_joinaggregate(last="max(layer)", groupby=["arm"])
        .transform_filter("datum.layer == datum.last")
        .mark_point(shape="circle", filled=False, color="#b3261e", size=45, strokeWidth=1.8)
        .encode(x, y, tooltip=shown)
    )
    chosen = means.transform_filter(f"datum.layer === {CHOSEN_LAYER}").mark_rect(**_FRAME).encode(x, y)
    chart = alt.layer(cells, empty, cross, fewer, chosen).add_params(chosen_layer()).properties(height={"step": 22})
    return chart.properties(usermeta={"rowsBy": "arm"}).to_dict()


def _scale(table: pd.DataFrame, *, logarithmic: bool) -> alt.Scale:
    """The scale of colours. A logarithmic one spans four decades at most."""
    known = table["drift"].dropna()
    if not logarithmic:
        low, high = (min(0.0, float(known.min())), float(known.max())) if len(known) else (0.0, 1.0)
        return alt.Scale(domain=[low, high], scheme="viridis", clamp=True)
    high = float(known.max())
    return alt.Scale(
        type="log", domain=[max(float(known[known > 0].min()), high / 1e4), high], scheme="viridis", clamp=True
    )


register(ViewSpec("heatmap", 10, of_study=of_study, of_comparison=of_comparison))
