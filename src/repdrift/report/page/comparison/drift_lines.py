"""The drawing of the main chart of a comparison: lines of models, their intervals, and the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

FEW = 4
"""Up to so many models, intervals and each model's own controls are drawn."""
NAMED = 6
"""Up to so many models, lines have their names beside them where there is no legend of models."""
GREY = "#808080"
_SHOWN = "models_shown"
"""The number of models that filters leave."""
_AXIS = "drift"


@dataclass(frozen=True)
class Control:
    """A control drawn as a line. column: of the table. words: in the legend. own: whether each model has its own."""

    column: str
    words: str
    dash: tuple[int, int]
    own: bool


CONTROLS = (
    Control("random_change", "after a random change as large", (7, 3), own=True),
    Control("rounding", "base model rounded as the tuned one is", (3, 2), own=True),
    Control("noise_floor", "base model run twice (noise)", (1, 3), own=False),
)


def drift_lines(
    colors: Mapping[str, str], controls: Sequence[Control], *, has_intervals: bool, few_models: bool, legend: bool
) -> dict[str, Any]:
    """Returns the specification.

    colors: of every model. few_models: whether there are never more than FEW. legend: whether it names the models; else lines are named where few are shown.
    """
    base = alt.Chart(alt.NamedData("rows")).transform_joinaggregate(models_shown="distinct(arm)")
    few = base if few_models else base.transform_filter(f"datum.{_SHOWN} <= {FEW}")
    many = None if few_models else base.transform_filter(f"datum.{_SHOWN} > {FEW}")
    x = alt.X(
        "layer:Q",
        title="layer (0 is the first block)",
        axis=alt.Axis(tickMinStep=1, format="d"),
        scale=alt.Scale(nice=False, padding=10, zero=False),
    )
    color = alt.Color(
        "arm:N",
        title=None,
        scale=alt.Scale(domain=list(colors), range=list(colors.values())),
        legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3) if legend else None,
    )
    layers: list[alt.Chart] = []
    for control in controls:
        dash = _dash(controls)
        name = f"'{control.words}'"
        if not control.own:
            line = base.transform_calculate(control=name).mark_line(strokeWidth=1.3, color=GREY)
            layers.append(line.encode(x, _y(f"mean({control.column})"), dash))
            continue
        line = few.transform_calculate(control=name).mark_line(strokeWidth=1.3)
        layers.append(line.encode(x, _y(control.column), color, dash))
        if many is not None:
            ends = _y(f"min({control.column})"), alt.Y2(f"max({control.column}):Q")
            layers.append(many.mark_area(opacity=0.25, color=GREY).encode(x, *ends))
            middle = many.transform_calculate(control=name).mark_line(strokeWidth=1.3, color=GREY)
            layers.append(middle.encode(x, _y(f"mean({control.column})"), dash))
    if has_intervals:
        layers.append(few.mark_area(opacity=0.18).encode(x, _y("drift_low"), alt.Y2("drift_high:Q"), color))
    layers.append(few.mark_line(strokeWidth=2.2).encode(x, _y("drift"), color))
    if many is not None:
        layers.append(many.mark_line(strokeWidth=1.4, opacity=0.7).encode(x, _y("drift"), color))
    tooltip = _tooltip(controls, has_intervals=has_intervals)
    layers.append(base.mark_point(filled=True, size=22, opacity=0.7).encode(x, _y("drift"), color, tooltip=tooltip))
    if not legend:
        layers.append(_names(base).encode(x, _y("drift"), color, alt.Text("arm:N")))
    return alt.layer(*layers).properties(height=320).to_dict()


def _y(value: str) -> alt.Y:
    return alt.Y(f"{value}:Q", title=_AXIS)


def _dash(controls: Sequence[Control]) -> alt.StrokeDash:
    return alt.StrokeDash(
        "control:N",
        title=None,
        scale=alt.Scale(domain=[c.words for c in controls], range=[list(c.dash) for c in controls]),
        legend=alt.Legend(symbolType="stroke", symbolStrokeColor=GREY, symbolStrokeWidth=1.5),
    )


def _names(base: alt.Chart) -> alt.Chart:
    """The name of each model at its largest drift."""
    return (
        base.transform_joinaggregate(largest_drift="max(drift)", groupby=["arm"])
        .transform_filter(f"datum.{_SHOWN} <= {NAMED} && datum.drift === datum.largest_drift")
        .mark_text(align="right", dx=-6, dy=-6, limit=220)
    )


def _tooltip(controls: Sequence[Control], *, has_intervals: bool) -> list[alt.Tooltip]:
    ends = [("drift_low:Q", "low"), ("drift_high:Q", "high")] if has_intervals else []
    own = [(f"{control.column}:Q", control.words) for control in controls]
    shown = [("arm:N", "model"), ("layer:Q", "layer"), ("drift:Q", "drift"), *ends, *own]
    return [alt.Tooltip(field, title=title) for field, title in shown]
