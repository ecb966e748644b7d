"""Relative change of the weights, by kind of module (rows) and layer (columns): a panel for each method."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.records.weights import MODULE_KINDS, ModuleKind, StudyWeightsMoved, WeightCell
from repdrift.core.weights_words import group_title
from repdrift.core.words import counted, method_title, short_number
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.heat_cells import heat_scale
from repdrift.report.panels import PanelPlan
from repdrift.report.report_data import ReportData
from repdrift.report.weight_panels import WeightPanel, draw_weight_panels, weight_plan


def draw(data: ReportData) -> Figure:
    """The panels, on one scale."""
    return draw_weights(data, "relative_change", "relative change, ||dW|| / ||W||", "not changed")


def draw_weights(data: ReportData, value: str, bar: str, none: str) -> Figure:
    """Draw one value of the cells, with the name `bar`; none: the words for a value of 0."""
    figure = Figure()
    height = draw_weight_panels(figure, panels_of(data, value), plan_of(data), bar=bar, none=none)
    figure.set_size_inches(page_width_in(), height)
    return figure


def panels_of(data: ReportData, value: str) -> list[WeightPanel]:
    """A panel for each method that changed some weight. Kinds of modules that no method changed are left out."""
    found = weights_of(data)
    kinds, layers = _kinds(found), sorted({cell.layer for cell in found.cells})
    names = [group_title(kind) for kind in kinds]
    panels = []
    for method in methods_of(found):
        known = {(cell.kind, cell.layer): getattr(cell, value) for cell in found.cells if cell.method == method}
        grid = np.array([[_number(known.get((kind, layer))) for layer in layers] for kind in kinds])
        panels.append(WeightPanel(method_title(method), names, layers, grid))
    return panels


def plan_of(data: ReportData) -> PanelPlan:
    """The arrangement of the panels."""
    found = weights_of(data)
    return weight_plan(len(methods_of(found)), len(_kinds(found)))


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    scale = heat_scale(
        np.concatenate([panel.grid.ravel() for panel in panels_of(data, "relative_change")[: plan_of(data).shown]])
    )
    return (
        "Change of the weights of a kind in a layer, joined, relative to their size: geometric mean over the final models of all tasks. Grey: nothing changed. "
        f"Hatched: no value.{scale.in_words}{plan_of(data).says_what_is_left_out('weights.parquet has all')}"
    )


def describe(data: ReportData) -> str:
    """Says where each method moved the weights most, and how many intruders its models have."""
    found = weights_of(data)
    said: list[str] = []
    for method in methods_of(found):
        of_method = [cell for cell in found.cells if cell.method == method and cell.relative_change is not None]
        most = max(of_method, key=lambda cell: cell.relative_change or 0.0)
        final = [run for run in found.runs if run.method == method and not run.step]
        new = sum(run.whole.intruders or 0 for run in final)
        said.append(
            f"{method_title(method)}: the largest relative change is {short_number(most.relative_change or 0.0)}, in {group_title(most.kind)} of layer "
            f"{most.layer}; {counted(new, 'intruder dimension')} in {counted(len(final), 'final model')}."
        )
    return " ".join(said)


def weights_of(data: ReportData) -> StudyWeightsMoved:
    """The section on weights. Figures are drawn only where there is one."""
    moved = data.results.moved
    if moved is None or moved.weights is None:
        raise AssertionError("drawn only where `absent` gives no reason")
    return moved.weights


def no_weights(data: ReportData) -> str | None:
    """Says why there is nothing to draw; None if some weight of a block changed."""
    moved = data.results.moved
    if moved is None or moved.weights is None:
        return no_section(data, "weights")
    return (
        None if any(_moved(cell) for cell in moved.weights.cells) else "no weight inside a block changed in any model"
    )


def methods_of(found: StudyWeightsMoved) -> list[str]:
    """Methods with a change of some weight, in the order of the cells."""
    return list(dict.fromkeys(cell.method for cell in found.cells if cell.relative_change is not None))


def _moved(cell: WeightCell) -> bool:
    return cell.relative_change is None or cell.relative_change > 0.0


def _kinds(found: StudyWeightsMoved) -> list[ModuleKind]:
    return [kind for kind in MODULE_KINDS if any(cell.kind == kind and _moved(cell) for cell in found.cells)]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


register(FigureSpec("weight_changes", 20, "Which weights changed", caption, describe, draw, absent=no_weights))
