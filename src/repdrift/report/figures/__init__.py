"""One file per figure; the registry finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from repdrift.core.registry import Registry
from repdrift.report.report_data import ReportData


@dataclass(frozen=True)
class FigureSpec:
    """A figure: its file name, its place on the page, and what it says in words."""

    name: str
    order: int
    title: str
    caption: Callable[[ReportData], str]
    """How to read it."""
    describe: Callable[[ReportData], str]
    """What it shows, with its numbers, for who does not see it."""
    draw: Callable[[ReportData], Figure]
    possible: Callable[[ReportData], bool] = lambda data: True  # noqa: ARG005
    """Whether the results hold what it shows; where they do not, it is not drawn."""


_REGISTRY: Registry[FigureSpec] = Registry("figure", "repdrift.report.figures")


def methods_are_compared(data: ReportData) -> bool:
    """Whether some task has final models of both methods."""
    return bool(data.compared_tasks())


def register(spec: FigureSpec) -> FigureSpec:
    """Make a figure known."""
    return _REGISTRY.add(spec.name, spec)


def figures() -> list[FigureSpec]:
    """All figures, in the order of the page."""
    return sorted(_REGISTRY, key=lambda spec: spec.order)
