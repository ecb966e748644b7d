"""The chart of patching: the share of the output change that each layer's state undoes, and brings, a panel for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.patching_words import how_patched, patching_answer
from repdrift.core.records.comparison import Comparison
from repdrift.report.page.arm_marks import CONTROL_GREY, arm_color, arm_legend, arm_shape, model_colors, tooltip
from repdrift.report.page.contents import INSIDE, View
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis

_SAID = 2
"""Models that have a sentence of their own."""
_UNDONE, _BROUGHT = "undone by the reference's state", "brought by the tuned state"
_SHOWN = {
    "arm": "model",
    "direction": "direction",
    "layer": "layer",
    "share": "share",
    "share_low": "low",
    "share_high": "high",
}


def patching_chart(result: Comparison) -> View | None:
    """Returns the chart; None where no model was patched."""
    rows = pd.DataFrame(
        [
            {
                "arm": found.model,
                "direction": words,
                "layer": at.layer,
                "share": part.share,
                "share_low": part.low,
                "share_high": part.high,
            }
            for found in result.patching
            for at in found.layers
            for words, part in ((_UNDONE, at.undone), (_BROUGHT, at.brought))
        ]
    )
    if rows.empty:
        return None
    colors = model_colors(result)
    patched = set(rows["arm"])
    return View(
        name="patching",
        title="Which layers the output change goes through",
        answer=[f"{found.model}: {patching_answer(found)}" for found in result.patching if found.layers][:_SAID],
        caption=f"{' '.join(how_patched(result))} Bands: 95 % intervals over samples. Grey: none and all of the change.",
        spec=_spec(rows, colors),
        rows=rows,
        filters=("arm",),
        panel_by="direction",
        one_scale=("share", "share_low", "share_high"),
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown=_SHOWN,
        legend=[entry for entry in arm_legend(colors) if entry.words in patched],
        group=INSIDE,
    )


def _spec(rows: pd.DataFrame, colors: Mapping[str, str]) -> dict[str, Any]:
    base = alt.Chart(alt.NamedData("rows"))
    x, color = layer_axis(rows["layer"]), arm_color(colors)
    y = alt.Y("share:Q", title="share of the output change", axis=alt.Axis(format="%"))
    ends = alt.Y("share_low:Q", title="share of the output change"), alt.Y2("share_high:Q")
    shown = tooltip({f"{name}:{'N' if name in ('arm', 'direction') else 'Q'}": title for name, title in _SHOWN.items()})
    bands = base.transform_filter("isValid(datum.share_low)").mark_area(opacity=0.15).encode(x, *ends, color)
    lines = base.mark_line(strokeWidth=2).encode(x, y, color)
    points = base.mark_point(filled=True, size=30).encode(x, y, color, arm_shape(colors), tooltip=shown)
    limits = [
        base.transform_calculate(limit=str(limit))
        .transform_aggregate(limit="max(limit)", groupby=["direction"])
        .mark_rule(color=CONTROL_GREY, strokeDash=[2, 2])
        .encode(alt.Y("limit:Q", title="share of the output change"))
        for limit in (0, 1)
    ]
    layered = alt.layer(chosen_rule(base, x), *limits, bands, lines, points)
    return layered.add_params(chosen_layer()).properties(height=240).to_dict()
