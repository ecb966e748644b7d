"""The clustered heatmaps: likeness of every two final models, of their weights, their drift by layer, and the directions in which rows moved."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure

from repdrift.core.records.likeness import ChangeLikeness, LikenessOf
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.likeness_figure import (
    FIGURE_NAMES,
    likeness_caption,
    likeness_description,
    likeness_figure,
    why_not_drawn,
)
from repdrift.report.report_data import ReportData

_PLACES: dict[LikenessOf, tuple[float, str]] = {
    "weights": (22, "Which models changed alike"),
    "profiles": (22.3, "In which models the same layers drift"),
    "directions": (22.6, "Which models moved in one direction"),
}
"""The place on the page, and the title, of each matrix."""


def _found(data: ReportData) -> ChangeLikeness:
    moved = data.results.moved
    return ChangeLikeness(models=[]) if moved is None or moved.likeness is None else moved.likeness


def _absent(data: ReportData, of: LikenessOf) -> str | None:
    moved = data.results.moved
    found = None if moved is None else moved.likeness
    return no_section(data, "likeness") if found is None else why_not_drawn(found, of)


def _caption(_data: ReportData, of: LikenessOf) -> str:
    return likeness_caption(of)


def _description(data: ReportData, of: LikenessOf) -> str:
    return likeness_description(_found(data), of)


def _draw(data: ReportData, of: LikenessOf) -> Figure:
    return likeness_figure(_found(data), of)


for _of, (_order, _title) in _PLACES.items():
    register(
        FigureSpec(
            FIGURE_NAMES[_of],
            _order,
            _title,
            partial(_caption, of=_of),
            partial(_description, of=_of),
            partial(_draw, of=_of),
            absent=partial(_absent, of=_of),
        )
    )
