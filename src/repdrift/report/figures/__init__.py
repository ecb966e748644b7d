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
    order: int
    title: str
    caption: Callable[[ReportData], str]
    """Says how to read the figure."""
    describe: Callable[[ReportData], str]
    """Says what the figure shows, with its numbers, for readers who cannot see it."""
    draw: Callable[[ReportData], Figure]
    possible: Callable[[ReportData], bool] = lambda data: True  # noqa: ARG005
    """Whether the results hold what the figure shows. If not, it is not drawn."""


_REGISTRY: Registry[FigureSpec] = Registry("figure", "repdrift.report.figures")


def methods_are_compared(data: ReportData) -> bool:
    """Returns whether some task has final models of both methods."""
    return bool(data.compared_tasks())


def register(spec: FigureSpec) -> FigureSpec:
    """Register a figure."""
    return _REGISTRY.add(spec.name, spec)


def figures() -> list[FigureSpec]:
    """All figures, in the order of the page."""
    return sorted(_REGISTRY, key=lambda spec: spec.order)
