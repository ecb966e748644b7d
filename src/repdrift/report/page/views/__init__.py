"""The charts of the page: one file each, found through the registry. Each is made from a study, from a comparison, or from both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from repdrift.core.records.comparison import Comparison
from repdrift.core.registry import Registry
from repdrift.report.page.contents import View
from repdrift.report.report_data import ReportData


def _none_of_study(data: ReportData) -> View | None:  # noqa: ARG001
    return None


def _none_of_comparison(comparison: Comparison) -> View | None:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class ViewSpec:
    """A chart with its order on the page. The functions return None where the records have no numbers for it."""

    name: str
    order: int
    of_study: Callable[[ReportData], View | None] = _none_of_study
    of_comparison: Callable[[Comparison], View | None] = _none_of_comparison


_REGISTRY: Registry[ViewSpec] = Registry("view", "repdrift.report.page.views")


def register(spec: ViewSpec) -> ViewSpec:
    """Register a chart."""
    return _REGISTRY.add(spec.name, spec)


def study_views(data: ReportData) -> list[View]:
    """The charts of a study, in the order of the page."""
    return [view for spec in _in_order() if (view := spec.of_study(data)) is not None]


def comparison_views(comparison: Comparison) -> list[View]:
    """The charts of a comparison, in the order of the page."""
    return [view for spec in _in_order() if (view := spec.of_comparison(comparison)) is not None]


def _in_order() -> list[ViewSpec]:
    return sorted(_REGISTRY, key=lambda spec: spec.order)
