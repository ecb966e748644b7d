"""Likeness of changes: every two models by their weights, whole or in part, by their drift by layer, and by the directions in which rows moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.likeness_words import likeness_section
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.likeness import ChangeLikeness
from repdrift.report.page.arm_marks import CONTROL_GREY, names_axis, tooltip
from repdrift.report.page.contents import INSIDE, Filter, View
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.likeness_rows import (
    ALL_WEIGHTS,
    Groups,
    groups_of_record,
    groups_of_table,
    likeness_rows,
    names_in_order,
)
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_SHOWN = {"model": "model", "other": "other", "by": "of", "likeness": "likeness", "chance": "chance", "weights": "weights", "note": "note"}  # fmt: skip
_LEAST_MODELS = 3
_CHOICE = "by"
_CAPTION = (
    "Of weights and directions, the cosine of two changes; of drift by layer, the rank correlation over layers: 1 the same but for its size, 0 unrelated, -1 the opposite. "
    "Chance: the size that unrelated changes of weights have (root mean square), or that 5 % of unrelated directions exceed; profiles have none, since layers are no independent units. "
    "Models stand in one order for every choice: that of clustering by all weights; columns in the order of the rows. Cross: no value, with the reason on hover. Empty: not compared; "
    "directions are compared over the same samples only, and so within a task."
)


def of_study(data: ReportData) -> View | None:
    """The matrix of a study; None without likenesses of three models."""
    moved = data.results.moved
    if moved is None or moved.likeness is None:
        return None
    return _view(moved.likeness, groups_of_table(moved.likeness, data.likeness))


def of_comparison(comparison: Comparison) -> View | None:
    """The matrix of a comparison; None without likenesses of three models."""
    found = None if comparison.moved is None else comparison.moved.likeness
    return None if found is None else _view(found, groups_of_record(found))


def _view(found: ChangeLikeness, groups: Groups) -> View | None:
    names = names_in_order(found)
    if len(names) < _LEAST_MODELS:
        return None
    made, section = likeness_rows(found, groups), likeness_section(found)
    start = ALL_WEIGHTS if ALL_WEIGHTS in made.choices else made.choices[0]
    return View(
        name="likeness",
        title="Which models changed alike",
        answer=section.answer[:3],
        caption=_CAPTION + made.left_out,
        spec=_spec(names, made.rows),
        rows=made.rows,
        filters=(_CHOICE,),
        choices=[Filter(_CHOICE, "Alike in", [(by, by) for by in made.choices], [start], several=False)],
        keyboard=("other", "model"),
        shown=_SHOWN,
        tables=[section],
        group=INSIDE,
    )


def _spec(names: Sequence[str], rows: pd.DataFrame) -> dict[str, Any]:
    """Each pair is one row, drawn on both sides of the diagonal."""
    scale = alt.Scale(domain=list(names))
    base = alt.Chart(alt.NamedData("rows"))
    shown = tooltip(typed(rows, _SHOWN))
    color = alt.Color(
        "likeness:Q",
        title="likeness",
        scale=alt.Scale(domain=[-1, 0, 1], range=["#D55E00", "#f4f2ee", "#0072B2"], interpolate="lab"),
        legend=alt.Legend(orient="bottom", gradientLength=200, titleAnchor="start"),
    )
    layers: list[alt.Chart] = []
    for across, down in (("other", "model"), ("model", "other")):
        x = alt.X(f"{across}:N", title=None, sort=None, axis=None, scale=scale)
        y = alt.Y(f"{down}:N", title=None, sort=None, axis=names_axis(240), scale=scale)
        cells = base.transform_filter("isValid(datum.likeness)").mark_rect().encode(x, y, color, tooltip=shown)
        absent = (
            base.transform_filter("!isValid(datum.likeness)")
            .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", color=CONTROL_GREY, size=60, strokeWidth=1.5)
            .encode(x, y, tooltip=shown)
        )
        layers += [cells, absent]
    height = len(names) * (24 if len(names) <= 30 else 14)
    return alt.layer(*layers).properties(height=height).to_dict()


register(ViewSpec("likeness", 50, of_study=of_study, of_comparison=of_comparison))
