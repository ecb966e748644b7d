"""The drawing of the main chart of a comparison: lines of models, their intervals, and the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from repdrift.report.page.arm_marks import CONTROL_GREY, SHAPES, arm_shapes, look, quoted, tooltip
from repdrift.report.page.contents import LegendEntry
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis

FEW = 4
"""Up to so many models, intervals and each model's own controls are drawn."""
NAMED = 6
"""Up to so many models, lines have their names beside them where there is no legend of models."""
_SHOWN = "models_shown"
"""The number of models that filters leave."""
_POINT, _SMALL_POINT = 30, 8
_CROWDED = 300
"""Points from which on they are drawn small."""


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


@dataclass(frozen=True)
class DriftLines:
    """The parts of the drawing. colors: of every model, also of those without a drift. named: whether the legend names the models; else lines are named where few are shown.

    axis: the title of the axis of drifts.
    """

    table: pd.DataFrame
    colors: Mapping[str, str]
    controls: Sequence[Control]
    has_intervals: bool
    named: bool
    axis: str

    @property
    def drawn(self) -> set[str]:
        """The models that have a line."""
        return set(self.table["arm"])

    @property
    def legend(self) -> list[LegendEntry]:
        """The marks with their words."""
        models = [
            LegendEntry(name, color, (1, 0), SHAPES[shape])
            for (name, color), shape in zip(self.colors.items(), arm_shapes(len(self.colors)), strict=True)
            if name in self.drawn
        ]
        controls = [LegendEntry(control.words, CONTROL_GREY, control.dash) for control in self.controls]
        return [*(models if self.named else []), *controls]

    def spec(self) -> dict[str, Any]:
        """Returns the specification."""
        base = alt.Chart(alt.NamedData("rows")).transform_joinaggregate(models_shown="distinct(arm)")
        never_many = len(self.drawn) <= FEW
        few = base if never_many else base.transform_filter(f"datum.{_SHOWN} <= {FEW}")
        many = None if never_many else base.transform_filter(f"datum.{_SHOWN} > {FEW}")
        x, color = layer_axis(self.table["layer"]), self._color()
        layers: list[alt.Chart] = [chosen_rule(base, x)]
        for control in self.controls:
            layers += self._control(control, base, few, many)
        if self.has_intervals:
            layers.append(few.mark_area(opacity=0.18).encode(x, self._y("drift_low"), alt.Y2("drift_high:Q"), color))
        layers.append(few.mark_line(strokeWidth=2.2).encode(x, self._y("drift"), color))
        if many is not None:
            layers.append(many.mark_line(strokeWidth=1.4, opacity=0.7).encode(x, self._y("drift"), color))
        layers.append(self._points(base).encode(x, self._y("drift"), color, tooltip=self._tooltip()))
        if not self.named:
            layers.append(_names(base).encode(x, self._y("drift"), color, alt.Text("arm:N")))
        return alt.layer(*layers).add_params(chosen_layer()).properties(height=320).to_dict()

    def _color(self) -> alt.Color:
        scale = look(list(self.colors), list(self.colors.values()))
        return alt.Color("arm:N", **(scale if self.named else {**scale, "legend": None}))

    def _points(self, base: alt.Chart) -> alt.Chart:
        crowded = len(self.drawn) * self.table["layer"].nunique() > _CROWDED
        points = base.mark_point(filled=True, size=_SMALL_POINT if crowded else _POINT, opacity=0.8)
        if not self.named:
            return points
        return points.encode(alt.Shape("arm:N", **look(list(self.colors), arm_shapes(len(self.colors)))))

    def _control(self, control: Control, base: alt.Chart, few: alt.Chart, many: alt.Chart | None) -> list[alt.Chart]:
        x, column = layer_axis(self.table["layer"]), control.column
        dash = alt.StrokeDash(
            "control:N", **look([c.words for c in self.controls], [list(c.dash) for c in self.controls])
        )
        grey = {"strokeWidth": 1.3, "color": CONTROL_GREY}

        def line(rows: alt.Chart) -> alt.Chart:
            return rows.transform_calculate(control=quoted(control.words))

        if not control.own:
            return [line(base).mark_line(**grey).encode(x, self._y(f"mean({column})"), dash)]
        found = [line(few).mark_line(strokeWidth=1.3).encode(x, self._y(column), self._color(), dash)]
        if many is not None:
            ends = self._y(f"min({column})"), alt.Y2(f"max({column}):Q")
            found.append(many.mark_area(opacity=0.25, color=CONTROL_GREY).encode(x, *ends))
            found.append(line(many).mark_line(**grey).encode(x, self._y(f"mean({column})"), dash))
        return found

    def _y(self, value: str) -> alt.Y:
        return alt.Y(f"{value}:Q", title=self.axis)

    def _tooltip(self) -> list[alt.Tooltip]:
        ends = {"drift_low:Q": "low", "drift_high:Q": "high"} if self.has_intervals else {}
        own = {f"{control.column}:Q": control.words for control in self.controls}
        return tooltip({"arm:N": "model", "layer:Q": "layer", "drift:Q": "drift", **ends, **own})


def _names(base: alt.Chart) -> alt.Chart:
    """The name of each model at its largest drift."""
    return (
        base.transform_joinaggregate(largest_drift="max(drift)", groupby=["arm"])
        .transform_filter(f"datum.{_SHOWN} <= {NAMED} && datum.drift === datum.largest_drift")
        .mark_text(align="right", dx=-6, dy=-6, limit=220)
    )
