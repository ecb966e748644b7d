"""Lines over the layers, one for each arm, with points for single models: the chart of several views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from repdrift.report.page.arm_marks import arm_color, arm_dash, arm_shape, tooltip
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis


def layer_lines(rows: pd.DataFrame, colors: Mapping[str, str], shown: Mapping[str, str], *, title: str | None, field: str = "value") -> dict[str, Any]:  # fmt: skip
    """Returns the specification. rows: with arm, layer and `field`; every row that is drawn is one model. title: of the upright axis; None for none."""
    x = layer_axis(rows["layer"])
    y = alt.Y(f"{field}:Q", title=title)
    base = alt.Chart(alt.NamedData("rows")).transform_filter(f"isValid(datum.{field})")
    means = base.transform_aggregate(**{field: f"mean({field})", "models": "count()"}, groupby=["arm", "layer"])  # pyright: ignore[reportArgumentType]
    of_means = tooltip({"arm:N": "method", "layer:Q": "layer", f"{field}:Q": "mean", "models:Q": "mean over rows"})
    line = means.mark_line(strokeWidth=2.2, point={"size": 45, "filled": True}).encode(
        x, y, arm_color(colors), arm_dash(colors), arm_shape(colors), tooltip=of_means
    )
    points = base.mark_point(filled=True, size=14, opacity=0.5).encode(
        x, y, arm_color(colors), tooltip=tooltip(typed(rows, shown))
    )
    return alt.layer(chosen_rule(base, x), points, line).add_params(chosen_layer()).properties(height=220).to_dict()


def typed(rows: pd.DataFrame, shown: Mapping[str, str]) -> dict[str, str]:
    """The columns that are shown as Altair writes them: numbers as such, all others as names."""
    return {
        f"{name}:{'Q' if pd.api.types.is_numeric_dtype(rows[name]) else 'N'}": words for name, words in shown.items()
    }
