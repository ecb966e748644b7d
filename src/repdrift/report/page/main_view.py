"""The main chart: drift by layer, a panel for each task, a colour for each arm, with single models and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from repdrift.report.page.contents import DRIFT, View

CONTROLS = {
    "noise_floor": ("base model run twice", [2, 3]),
    "seed_ceiling": ("between two seeds of one arm", [1, 2]),
    "random_change": ("after a random change as large", [7, 3]),
}
"""Columns of controls with their words and their dashes."""
_FILTERS = ("task", "arm", "seed", "step", "site", "measure")


def drift_by_layer(
    table: pd.DataFrame, colors: Mapping[str, str], *, drift_is: str, answer: list[str], caption: str
) -> View:
    """Returns the chart of a table with `DRIFT_TABLE_COLUMNS`. colors: of every arm, in order. drift_is: the title of the axis."""
    return View(
        name=DRIFT,
        title="Drift by layer",
        answer=answer,
        caption=caption,
        spec=_spec(colors, drift_is),
        rows=table,
        filters=_FILTERS,
        panel_by="task",
        one_scale=("drift",),
        log_fields=("drift",),
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown={
            "task": "task",
            "arm": "method",
            "seed": "seed",
            "layer": "layer",
            "drift": "drift",
            "drift_low": "low",
            "drift_high": "high",
        },
    )


def _spec(colors: Mapping[str, str], drift_is: str) -> dict[str, Any]:
    base = alt.Chart(alt.NamedData("rows"))
    x = alt.X(
        "layer:Q", title="layer", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False, padding=8)
    )
    y = alt.Y("drift:Q", title=f"drift, {drift_is}")
    color = alt.Color(
        "arm:N",
        title=None,
        scale=alt.Scale(domain=list(colors), range=list(colors.values())),
        legend=alt.Legend(symbolType="stroke"),
    )
    tooltip = [
        alt.Tooltip(f"{name}", title=title)
        for name, title in (
            ("arm:N", "method"),
            ("seed:N", "seed"),
            ("layer:Q", "layer"),
            ("drift:Q", "drift"),
            ("drift_low:Q", "low"),
            ("drift_high:Q", "high"),
        )
    ]
    band = base.mark_area(opacity=0.15).encode(x, alt.Y("min(drift):Q", title=None), alt.Y2("max(drift):Q"), color)
    points = base.mark_point(filled=True, size=14, opacity=0.55).encode(x, y, color, tooltip=tooltip)
    mean = base.mark_line(strokeWidth=2.2).encode(x, alt.Y("mean(drift):Q", title=f"drift, {drift_is}"), color)
    controls = [
        base.mark_line(strokeDash=dash, strokeWidth=1.2, color="#8a8a8a").encode(
            x, alt.Y(f"mean({name}):Q", title=None)
        )
        for name, (_, dash) in CONTROLS.items()
    ]
    chart = alt.layer(band, *controls, mean, points).properties(height=260)
    return chart.to_dict()
