"""Likeness of changes: the cosine of the weight changes of every two models, in the order of their clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.likeness_words import likeness_section
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.likeness import ChangeLikeness
from repdrift.report.likeness_figure import is_drawn, likeness_caption
from repdrift.report.page.arm_marks import CONTROL_GREY, names_axis, tooltip
from repdrift.report.page.contents import View
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_SHOWN = {"model": "model", "other": "other", "cosine": "cosine", "chance": "chance", "weights": "weights", "note": "note"}  # fmt: skip


def of_study(data: ReportData) -> View | None:
    """The matrix of a study; None without likenesses of three models."""
    moved = data.results.moved
    return None if moved is None else _view(moved.likeness)


def of_comparison(comparison: Comparison) -> View | None:
    """The matrix of a comparison; None without likenesses of three models."""
    return None if comparison.moved is None else _view(comparison.moved.likeness)


def likeness_rows(found: ChangeLikeness) -> pd.DataFrame:
    """Two rows for each pair of models, one for each half of the matrix; a cosine that is missing has its reason as note."""
    order = _order(found)
    rows = [
        {
            "model": found.models[one].name, "other": found.models[other].name, "cosine": pair.whole.cosine, "chance": pair.whole.chance, "weights": pair.whole.weights, "note": pair.whole.missing or "",
        }
        for pair in found.pairs
        for one, other in ((pair.first, pair.second), (pair.second, pair.first))
        if one in order and other in order
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(_SHOWN))


def _order(found: ChangeLikeness) -> list[int]:
    paired = {place for pair in found.pairs for place in (pair.first, pair.second)}
    return [place for place in found.order if place in paired]


def _view(found: ChangeLikeness | None) -> View | None:
    if found is None or not is_drawn(found):
        return None
    rows, section = likeness_rows(found), likeness_section(found)
    return View(
        name="likeness",
        title="Which models changed alike",
        answer=section.answer[:3],
        caption=likeness_caption().replace("Hatched", "Cross") + " Columns stand in the order of the rows.",
        spec=_spec([found.models[place].name for place in _order(found)], rows),
        rows=rows,
        keyboard=("other", "model"),
        shown=_SHOWN,
        tables=[section],
        group="What moved inside",
    )


def _spec(names: Sequence[str], rows: pd.DataFrame) -> dict[str, Any]:
    x = alt.X("other:N", title=None, sort=list(names), axis=None)
    y = alt.Y("model:N", title=None, sort=list(names), axis=names_axis(240))
    base = alt.Chart(alt.NamedData("rows"))
    shown = tooltip(typed(rows, _SHOWN))
    color = alt.Color(
        "cosine:Q",
        title="cosine",
        scale=alt.Scale(domain=[-1, 0, 1], range=["#D55E00", "#f4f2ee", "#0072B2"], interpolate="lab"),
        legend=alt.Legend(orient="bottom", gradientLength=200, titleAnchor="start"),
    )
    cells = base.transform_filter("isValid(datum.cosine)").mark_rect().encode(x, y, color, tooltip=shown)
    absent = (
        base.transform_filter("!isValid(datum.cosine)")
        .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", color=CONTROL_GREY, size=60, strokeWidth=1.5)
        .encode(x, y, tooltip=shown)
    )
    height = {"step": 24 if len(names) <= 30 else 14}
    return alt.layer(cells, absent).properties(height=height, usermeta={"rowsBy": "model"}).to_dict()


register(ViewSpec("likeness", 50, of_study=of_study, of_comparison=of_comparison))
