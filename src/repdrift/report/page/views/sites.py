"""Drift inside the block: attention, MLP and the residual stream by layer, a panel for each site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.compared_site_words import model_sites
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.sites import RESID_POST, SITES
from repdrift.core.site_words import site_title
from repdrift.core.study_site_words import study_sites
from repdrift.core.worded_section import WordedSection
from repdrift.report.page.answers import answer_of_models
from repdrift.report.page.arm_marks import arm_color, arm_colors, arm_dash, arm_legend, arm_shape, model_colors, tooltip
from repdrift.report.page.contents import View
from repdrift.report.page.drift_table import drift_table
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_SHOWN = {"at": "site", "task": "task", "arm": "method", "seed": "seed", "layer": "layer", "drift": "drift"}


def of_study(data: ReportData) -> View | None:
    """The sites of a study; None if only the residual stream was read."""
    section = study_sites(data.results)
    rows = site_rows(data)
    if section is None or rows["at"].nunique() < 2:
        return None
    study = data.results.study
    return _view(rows, arm_colors(data), f"drift, {drift_definition(study, study.primary_measure)}", [("", section)])


def of_comparison(comparison: Comparison) -> View | None:
    """The sites of the models of a comparison; None if only the residual stream was read."""
    sections = [
        (model.name, section)
        for model in comparison.compared
        if (section := model_sites(comparison, model)) is not None
    ]
    rows = [
        {"site": site, "task": comparison.data, "arm": model.name, "seed": 0, "layer": at.layer, "drift": at.drift}
        for model in comparison.compared if model.sites
        for site, layers in [(RESID_POST, model.layers), *((of.site, of.layers) for of in model.sites)]
        for at in layers
    ]  # fmt: skip
    if not sections or not rows:
        return None
    view = _view(_in_site_order(pd.DataFrame(rows)), model_colors(comparison), "drift, 1 - debiased CKA", sections)
    return replace(view, filters=("arm",))


def site_rows(data: ReportData) -> pd.DataFrame:
    """One row for each final model, site and layer: its drift by the primary measure."""
    table = drift_table(data)
    rows = table[(table["step"] == 0) & (table["measure"] == data.results.study.primary_measure)].copy()
    return _in_site_order(rows)


def _in_site_order(rows: pd.DataFrame) -> pd.DataFrame:
    place = {site: number for number, site in enumerate(SITES)}
    rows = rows.sort_values("site", key=lambda names: names.map(place), kind="stable")
    return rows.assign(at=rows["site"].map(site_title))[["at", "task", "arm", "seed", "layer", "drift"]].reset_index(drop=True)  # fmt: skip


def _view(
    rows: pd.DataFrame, colors: Mapping[str, str], title: str, sections: Sequence[tuple[str, WordedSection]]
) -> View:
    return View(
        name="sites",
        title="Attention or MLP",
        answer=answer_of_models(sections),
        caption="Line: mean over the tasks and models that are shown; points: single models. Drift of what attention and the MLP add to the residual stream, and of the stream after "
        "the block. Embeddings stand before layer 0, the final norm after the last.",
        spec=_spec(rows, colors, title),
        rows=rows,
        filters=("task", "arm", "seed"),
        panel_by="at",
        one_scale=("drift",),
        log_fields=("drift",),
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown=_SHOWN,
        tables=[section for _, section in sections],
        group="How much, where",
        legend=arm_legend(colors),
    )


def _spec(rows: pd.DataFrame, colors: Mapping[str, str], title: str) -> dict[str, Any]:
    x = layer_axis(rows["layer"])
    y = alt.Y("drift:Q", title=title)
    base = alt.Chart(alt.NamedData("rows")).transform_filter("isValid(datum.drift)")
    shown = tooltip({f"{name}:{'Q' if name in ('layer', 'drift') else 'N'}": words for name, words in _SHOWN.items()})
    means = base.transform_aggregate(drift="mean(drift)", models="count()", groupby=["arm", "layer"])
    line = means.mark_line(strokeWidth=2.2, point={"size": 45, "filled": True}).encode(
        x, y, arm_color(colors), arm_dash(colors), arm_shape(colors), tooltip=tooltip({"arm:N": "method", "layer:Q": "layer", "drift:Q": "mean drift", "models:Q": "mean over models"})
    )  # fmt: skip
    points = base.mark_point(filled=True, size=14, opacity=0.5).encode(x, y, arm_color(colors), tooltip=shown)
    return alt.layer(chosen_rule(base, x), points, line).add_params(chosen_layer()).properties(height=220).to_dict()


register(ViewSpec("sites", 15, of_study=of_study, of_comparison=of_comparison))
