"""The clustered heatmap: cosine of the changes of the weights of every two final models."""

from __future__ import annotations

from matplotlib.figure import Figure

from repdrift.core.records.likeness import ChangeLikeness
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.likeness_figure import is_drawn, likeness_caption, likeness_description, likeness_figure
from repdrift.report.report_data import ReportData


def _found(data: ReportData) -> ChangeLikeness:
    moved = data.results.moved
    return ChangeLikeness(models=[]) if moved is None or moved.likeness is None else moved.likeness


def _absent(data: ReportData) -> str | None:
    if is_drawn(_found(data)):
        return None
    moved = data.results.moved
    few = moved is not None and moved.likeness is not None
    return "fewer than three models have a likeness with others" if few else no_section(data, "likeness")


def _draw(data: ReportData) -> Figure:
    return likeness_figure(_found(data))


register(
    FigureSpec(
        "likeness",
        22,
        "Which models changed alike",
        lambda _data: likeness_caption(),
        lambda data: likeness_description(_found(data)),
        _draw,
        absent=_absent,
    )
)
