"""Predictors of score and forgetting: rank correlations of each measure's drift with intervals, a panel for each outcome."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.words import chosen_percent
from repdrift.report.page.arm_marks import CONTROL_GREY, names_axis, tooltip
from repdrift.report.page.contents import View
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_SHOWN = {
    "outcome": "outcome", "measure": "measure", "correlation": "rank correlation", "low": "low", "high": "high", "p": "p of no correlation, corrected over measures", "models": "models", "note": "note",
}  # fmt: skip
_NUMBERS = ("correlation", "low", "high", "p", "models")


def of_study(data: ReportData) -> View | None:
    """The predictors of a study; None if nothing could be correlated."""
    rows = predictor_rows(data)
    if rows["correlation"].notna().sum() == 0:
        return None
    return View(
        name="predictors",
        title="Which drift goes with what",
        answer=[each.sentence for each in data.results.drift_predictors if each.missing is None][:2],
        caption=f"Rank correlation of each measure's drift with an outcome, over final models, within tasks and methods; bars: {chosen_percent(data.results.study.confidence)} intervals "
        "over models, where there are enough of them. Right of zero: models that drift more score higher, or forget or lose more. A correlation does not say what causes what, and "
        "most measures move together.",
        spec=_spec(),
        rows=rows,
        panel_by="outcome",
        keyboard=("outcome", "measure"),
        shown=_SHOWN,
        group="What it did",
    )


def predictor_rows(data: ReportData) -> pd.DataFrame:
    """One row for each outcome and measure; a correlation that is missing has its reason as note."""
    rows = [
        {
            "outcome": found.outcome, "measure": at.title, "correlation": at.correlation, "low": at.low, "high": at.high, "p": at.pvalue_max_t, "models": found.n_units, "note": at.missing or "",
        }
        for found in data.results.drift_predictors
        for at in found.correlations
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(_SHOWN))


def _spec() -> dict[str, Any]:
    scale = alt.Scale(domain=[-1, 1])
    y = alt.Y("measure:N", title=None, sort=None, axis=names_axis(170))
    shown = tooltip({f"{name}:{'Q' if name in _NUMBERS else 'N'}": words for name, words in _SHOWN.items()})
    base = alt.Chart(alt.NamedData("rows"))
    zero = (
        base.transform_aggregate(rows="count()")
        .transform_calculate(at="0")
        .mark_rule(color=CONTROL_GREY)
        .encode(alt.X("at:Q", scale=scale))
    )
    bars = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=4, opacity=0.4, color="#0072B2")
        .encode(alt.X("low:Q", scale=scale), alt.X2("high:Q"), y, tooltip=shown)
    )
    points = (
        base.transform_filter("isValid(datum.correlation)")
        .mark_point(filled=True, size=70, opacity=1, color="#0072B2")
        .encode(alt.X("correlation:Q", title="rank correlation with drift", scale=scale), y, tooltip=shown)
    )
    absent = (
        base.transform_filter("!isValid(datum.correlation)")
        .transform_calculate(at="0")
        .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", size=60, strokeWidth=1.6, color=CONTROL_GREY)
        .encode(alt.X("at:Q", scale=scale), y, tooltip=shown)
    )
    chart = alt.layer(zero, bars, points, absent).properties(height={"step": 24}, usermeta={"rowsBy": "measure"})
    return chart.to_dict()


register(ViewSpec("predictors", 36, of_study=of_study))
