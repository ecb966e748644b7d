"""The look of arms in charts: a colour, a dash and a shape for each, so that two arms differ also in grey print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from repdrift.core.comparison_answers import mean_drift
from repdrift.core.records.comparison import Comparison
from repdrift.core.shown_text import for_terminal
from repdrift.report.page.contents import LegendEntry
from repdrift.report.page.titles import arm_titles
from repdrift.report.report_data import ReportData
from repdrift.report.style import COLORS, method_color

SHAPES = {
    "circle": "M-1,0A1,1,0,1,0,1,0A1,1,0,1,0,-1,0Z",
    "square": "M-.9,-.9H.9V.9H-.9Z",
    "triangle-up": "M0,-1L1,.8H-1Z",
    "diamond": "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
    "cross": "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "triangle-down": "M0,1L1,-.8H-1Z",
    "triangle-right": "M1,0L-.8,1V-1Z",
    "triangle-left": "M-1,0L.8,1V-1Z",
    "M0,-.7L.2,-.2L.7,0L.2,.2L0,.7L-.2,.2L-.7,0L-.2,-.2Z": "M0,-1.2L.3,-.3L1.2,0L.3,.3L0,1.2L-.3,.3L-1.2,0L-.3,-.3Z",
}
"""Shapes of points as Vega names or draws them, and their outlines in a legend, about 2 wide. The last one is a star."""
DASHES = ([1, 0], [7, 3], [2, 2], [9, 2, 2, 2])
"""Dashes of lines: arms of one colour have different ones. The first is a solid line."""
_LEAST, _MOST = (58, 95, 160), (213, 160, 33)
"""Ends of the scale of colours for many models: blue and amber, as parts of red, green and blue."""
CONTROL_GREY = "#858585"
"""3.7 times as bright or as dark as the page in both colour schemes."""


def arm_dashes(colors: Mapping[str, str]) -> list[list[int]]:
    """The dash of every arm, in order: the first arm of each colour has a solid line."""
    seen: dict[str, int] = {}
    found: list[list[int]] = []
    for color in colors.values():
        found.append(DASHES[seen.get(color, 0) % len(DASHES)])
        seen[color] = seen.get(color, 0) + 1
    return found


def arm_shapes(count: int) -> list[str]:
    """The shape of every arm, in order."""
    shapes = list(SHAPES)
    return [shapes[place % len(shapes)] for place in range(count)]


def arm_legend(colors: Mapping[str, str], controls: Mapping[str, Sequence[int]] | None = None) -> list[LegendEntry]:
    """Entries of a legend. controls: words of the controls that are drawn as grey lines, with their dashes."""
    shapes, dashes = arm_shapes(len(colors)), arm_dashes(colors)
    arms = [
        LegendEntry(name, color, dash, SHAPES[shape])
        for (name, color), dash, shape in zip(colors.items(), dashes, shapes, strict=True)
    ]
    return arms + [LegendEntry(words, CONTROL_GREY, dash) for words, dash in (controls or {}).items()]


def look(names: Sequence[str], marks: Sequence[Any]) -> dict[str, Any]:
    """Options of a channel (colour, dash, shape) that gives each name its mark, with the legend that a chart has outside of the page."""
    symbols: dict[str, Any] = {"symbolOpacity": 1, "symbolSize": 90, "symbolStrokeWidth": 2, "labelLimit": 260}
    legend = alt.Legend(orient="bottom", direction="vertical", columns=2, **symbols)
    return {"title": None, "scale": alt.Scale(domain=list(names), range=list(marks)), "legend": legend}


def arm_color(colors: Mapping[str, str]) -> alt.Color:
    """The colour channel of charts with one colour an arm."""
    return alt.Color("arm:N", **look(list(colors), list(colors.values())))


def arm_dash(colors: Mapping[str, str]) -> alt.StrokeDash:
    """The dash channel of charts with one dash an arm."""
    return alt.StrokeDash("arm:N", **look(list(colors), arm_dashes(colors)))


def arm_shape(colors: Mapping[str, str]) -> alt.Shape:
    """The shape channel of charts with one shape an arm."""
    return alt.Shape("arm:N", **look(list(colors), arm_shapes(len(colors))))


def tooltip(titles: Mapping[str, str]) -> list[alt.Tooltip]:
    """The fields that a mark says on hover, as Altair writes them, each with its heading."""
    return [alt.Tooltip(field, title=title) for field, title in titles.items()]


def quoted(text: str) -> str:
    r"""A text as a string of Vega's expressions. As the page shows it; every character but letters and digits is written as its code."""
    units = for_terminal(text).encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[place : place + 2]) for place in range(0, len(units), 2)]
    return '"' + "".join(chr(c) if c < 128 and chr(c).isalnum() else f"\\u{c:04x}" for c in codes) + '"'


def arm_colors(data: ReportData) -> dict[str, str]:
    """The colour of every arm of a study by its name on the page, in the study's order."""
    return {title: method_color(name, data.methods) for name, title in arm_titles(data).items()}


def model_colors(comparison: Comparison) -> dict[str, str]:
    """The colour of every tuned model of a comparison by its name, in order.

    Where there are more models than colours, those with a drift by layer are coloured by its rank, from blue (least) to amber (most), and others are grey.
    """
    if len(comparison.models) <= len(COLORS):
        return {model.name: color for model, color in zip(comparison.models, COLORS, strict=False)}
    ranked = [model.name for model in sorted(comparison.compared, key=mean_drift)]
    shades = {name: _between(place / max(1, len(ranked) - 1)) for place, name in enumerate(ranked)}
    return {model.name: shades.get(model.name, CONTROL_GREY) for model in comparison.models}


def _between(share: float) -> str:
    """The colour at a share of the way from the least to the most."""
    parts = (round(low + share * (high - low)) for low, high in zip(_LEAST, _MOST, strict=True))
    return "#" + "".join(f"{part:02x}" for part in parts)


def names_axis(limit: int = 150) -> alt.Axis:
    """An axis of names, which are cut where they are long; hover says them in full."""
    return alt.Axis(labelLimit=limit, ticks=False, domain=False)
