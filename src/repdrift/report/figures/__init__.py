"""The figures of a report: one file each, found through the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from repdrift.core.registry import Registry
from repdrift.report.report_data import ReportData


@dataclass(frozen=True)
class FigureSpec:
    """A figure with its file name, its order on the page, and its words."""

    name: str
    order: float
    title: str
    caption: Callable[[ReportData], str]
    """Says how to read the figure."""
    describe: Callable[[ReportData], str]
    """Says what the figure shows, with its numbers, for readers who cannot see it."""
    draw: Callable[[ReportData], Figure]
    absent: Callable[[ReportData], str | None] = lambda data: None  # noqa: ARG005
    """Says, as a clause, why these results cannot give the figure; None if they can."""

    def possible(self, data: ReportData) -> bool:
        """Returns whether the results hold what the figure shows. If not, it is not drawn."""
        return self.absent(data) is None


_REGISTRY: Registry[FigureSpec] = Registry("figure", "repdrift.report.figures")


def no_comparison(data: ReportData) -> str | None:
    """Says why methods cannot be compared; None if some task has final models of the reference and of another method."""
    if data.compared_tasks():
        return None
    if not data.results.study.contrasted:
        return "the study has one method, so there is nothing to compare"
    return "no task has final models of the reference and of another method"


def no_section(data: ReportData, section: str) -> str:
    """Says why a section on what moved has nothing to draw: its own reason, or that it was not asked for."""
    moved = data.results.moved
    why = None if moved is None else moved.left_out.get(section)
    return (
        why
        or f"the results hold no section `{section}`: run `repdrift analyze` with `analysis: {{{section}: true}}` in the study file"
    )


def register(spec: FigureSpec) -> FigureSpec:
    """Register a figure."""
    return _REGISTRY.add(spec.name, spec)


def figure_named(name: str) -> FigureSpec:
    """The figure of a name. Raises UnknownNameError that lists the names there are."""
    return _REGISTRY.get(name)


def figures() -> list[FigureSpec]:
    """All figures, in the order of the page."""
    return sorted(_REGISTRY, key=lambda spec: spec.order)
