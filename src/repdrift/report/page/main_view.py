"""The main chart: drift by layer, a panel for each task, a mark for each arm, with single models and the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from repdrift.report.page.arm_marks import (
    CONTROL_GREY,
    arm_dashes,
    arm_legend,
    arm_shapes,
    look,
    quoted,
    tooltip,
)
from repdrift.report.page.contents import DRIFT, View
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis

CONTROLS = {
    "noise_floor": ("noise floor: base model run twice", [2, 3]),
    "seed_ceiling": ("between two seeds of one method", [7, 4]),
    "random_change": ("after a random change as large", [10, 3, 2, 3]),
}
"""Columns of controls with their words and their dashes."""
CAPTION = (
    "Line: mean over the models that are shown; it is thin where some of them are missing. Points: single models, with their intervals over samples. Band: smallest to "
    "largest model. Grey lines: controls, the largest of the methods that are shown."
)
"""Says how to read the chart."""
_FILTERS = ("task", "arm", "seed", "step", "site", "measure")
_MANY = 6
"""Arms from which on bands and intervals are drawn lighter, so that lines can be told apart."""
_SPREAD = 0.3
"""Width in layers over which the points of arms at one layer are spread."""
_MODEL = {
    "arm:N": "method",
    "seed:N": "seed",
    "layer:Q": "layer",
    "drift:Q": "drift",
    "drift_low:Q": "low",
    "drift_high:Q": "high",
}
_MEAN = {
    "arm:N": "method",
    "layer:Q": "layer",
    "drift:Q": "mean drift",
    "models:Q": "mean over models",
    "planned:Q": "of",
}
_CONTROL = {"series:N": "control", "layer:Q": "layer", "drift:Q": "drift"}


def drift_by_layer(
    table: pd.DataFrame,
    colors: Mapping[str, str],
    *,
    drift_is: str,
    answer: Sequence[str],
    caption: str = CAPTION,
) -> View:
    """Returns the chart of a table with `DRIFT_TABLE_COLUMNS`. colors: of every arm, in order. drift_is: the title of the axis."""
    controls = {name: CONTROLS[name] for name in CONTROLS if table[name].notna().any()}
    return View(
        name=DRIFT,
        title="Drift by layer",
        answer=answer,
        caption=caption,
        spec=_spec(colors, controls, drift_is, table["layer"]),
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
            **{name: words for name, (words, _) in controls.items()},
        },
        legend=arm_legend(colors, dict(controls.values())),
    )


def _spec(
    colors: Mapping[str, str], controls: Mapping[str, tuple[str, list[int]]], drift_is: str, layers: pd.Series
) -> dict[str, Any]:
    many = len(colors) > _MANY
    looks = _looks(colors, dict(controls.values()))
    x, at = layer_axis(layers), layer_axis(layers, "at")
    y = alt.Y("drift:Q", title=f"drift, {drift_is}")
    base = alt.Chart(alt.NamedData("rows")).transform_calculate(series="datum.arm")
    known = base.transform_filter("isValid(datum.drift)")
    means = base.transform_aggregate(
        drift="mean(drift)", models="valid(drift)", planned="count()", groupby=["arm", "series", "layer"]
    )
    drawn = means.transform_filter("datum.models > 0")
    band = known.mark_area(opacity=0.05 if many else 0.14).encode(
        x, alt.Y("min(drift):Q"), alt.Y2("max(drift):Q"), looks["color"], detail="arm:N"
    )
    spread = known.transform_joinaggregate(seeds="distinct(seed)", groupby=["arm"]).transform_calculate(
        at=_spread(colors)
    )
    intervals = (
        spread.transform_filter("isValid(datum.drift_low) && isValid(datum.drift_high)")
        .mark_rule(opacity=0.25 if many else 0.5, strokeWidth=1)
        .encode(at, alt.Y("drift_low:Q"), alt.Y2("drift_high:Q"), looks["color"])
    )
    points = spread.mark_point(filled=True, size=_size(layers, many=many), opacity=0.75).encode(
        at, y, looks["color"], looks["shape"], tooltip=tooltip(_MODEL)
    )
    line = drawn.mark_line().encode(
        x, y, looks["color"], looks["dash"], strokeWidth=alt.value(1.2), tooltip=tooltip(_MEAN)
    )
    whole = drawn.transform_calculate(drift="datum.models == datum.planned ? datum.drift : null").mark_line()
    bold = whole.encode(x, y, looks["color"], looks["dash"], strokeWidth=alt.value(2.6), tooltip=tooltip(_MEAN))
    grey = [_control_line(base, name, words, looks, x) for name, (words, _) in controls.items()]
    layered = [chosen_rule(base, x), band, *grey, line, bold, intervals, points, _fewer(means)]
    return alt.layer(*layered).add_params(chosen_layer()).properties(height=280).to_dict()


def _looks(colors: Mapping[str, str], controls: Mapping[str, list[int]]) -> dict[str, Any]:
    """Colour, dash and shape of all arms and controls, which share one legend. controls: words with their dashes."""
    names = [*colors, *controls]
    shades = [*colors.values(), *[CONTROL_GREY] * len(controls)]
    shapes = [*arm_shapes(len(colors)), *["stroke"] * len(controls)]
    return {
        "color": alt.Color("series:N", **look(names, shades)),
        "dash": alt.StrokeDash("series:N", **look(names, [*arm_dashes(colors), *controls.values()])),
        "shape": alt.Shape("series:N", **look(names, shapes)),
    }


def _spread(colors: Mapping[str, str]) -> str:
    """An expression for the place of a point: beside its layer, so that the points of arms with several models can be told apart.

    The points of a single model lie on its line.
    """
    if len(colors) < 2:
        return "datum.layer"
    names = "[" + ",".join(quoted(name) for name in colors) + "]"
    return f"datum.layer + (datum.seeds > 1 ? {_SPREAD} * (indexof({names}, datum.arm) / {len(colors) - 1} - 0.5) : 0)"


def _size(layers: pd.Series, *, many: bool) -> int:
    """Area of a point, smaller where there are many."""
    return 12 if many or layers.nunique() > 40 else 26


def _control_line(base: alt.Chart, name: str, words: str, looks: Mapping[str, Any], x: alt.X) -> alt.Chart:
    return (
        base.transform_filter(f"isValid(datum.{name})")
        .transform_aggregate(drift=f"max({name})", groupby=["layer"])
        .transform_calculate(series=quoted(words))
        .mark_line(strokeWidth=1.5, point={"shape": "stroke", "size": 30, "color": CONTROL_GREY})
        .encode(x, alt.Y("drift:Q"), looks["color"], looks["dash"], tooltip=tooltip(_CONTROL))
    )


def _fewer(means: alt.Chart) -> alt.Chart:
    """A remark in the corner of the panel that names the arms whose means are over fewer models than planned."""
    return (
        means.transform_filter("datum.models < datum.planned")
        .transform_aggregate(least="min(models)", planned="max(planned)", groupby=["arm"])
        .transform_calculate(label="truncate(datum.arm, 24) + ' ' + datum.least + ' of ' + datum.planned")
        .transform_aggregate(arms="values(label)")
        .transform_calculate(label="'Models there: ' + join(pluck(datum.arms, 'label'), ', ')")
        .mark_text(align="left", baseline="top", fontSize=11, fontStyle="italic", limit=alt.expr("width - 12"))
        .encode(x=alt.value(6), y=alt.value(2), text="label:N", tooltip="label:N")
    )
