"""Relative change of the weights, by kind of module (rows) and layer (columns): a panel for each method."""

from __future__ import annotations

from statistics import geometric_mean

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.records.weights import MODULE_KINDS, ModuleKind, StudyWeightsMoved, WeightCell
from repdrift.core.weights_words import group_title
from repdrift.core.words import counted, listed, method_title, short_number
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.heat_cells import heat_scale
from repdrift.report.panels import PanelPlan
from repdrift.report.report_data import ReportData
from repdrift.report.weight_panels import WeightPanel, draw_weight_panels, nothing_left_out, pattern_words, weight_plan

_SUCH_AS: dict[ModuleKind, str] = {"other": ", such as a pooler"}


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
    """A panel for each method that changed some weight. Kinds that no method changed, or that have no such value at all, are left out."""
    found = weights_of(data)
    kinds, layers = _kinds(found, value), sorted({cell.layer for cell in found.cells})
    names = [group_title(kind) for kind in kinds]
    panels = []
    for method in methods_of(found):
        known = {(cell.kind, cell.layer): getattr(cell, value) for cell in found.cells if cell.method == method}
        grid = np.array([[_number(known.get((kind, layer))) for layer in layers] for kind in kinds])
        untrained = [row for row, kind in enumerate(kinds) if _is_untrained(found, method, kind)]
        panels.append(WeightPanel(method_title(method), names, layers, grid, untrained))
    return panels


def _is_untrained(found: StudyWeightsMoved, method: str, kind: ModuleKind) -> bool:
    """True if no weight of this kind has a change in a model of the method, and none was left out of the comparison: the method trains none."""
    if any(cell.method == method and cell.kind == kind for cell in found.cells):
        return False
    left_out = [line for run in found.runs if run.method == method for line in run.not_compared]
    return nothing_left_out(left_out)


def plan_of(data: ReportData) -> PanelPlan:
    """The arrangement of the panels."""
    found = weights_of(data)
    return weight_plan(len(methods_of(found)), len(_kinds(found, "relative_change")))


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    scale = heat_scale(
        np.concatenate([panel.grid.ravel() for panel in panels_of(data, "relative_change")[: plan_of(data).shown]])
    )
    return (
        "Change of the weights of a kind in a layer, joined, relative to their size: geometric mean over the final models of all tasks; the lighter, the larger. "
        f"{pattern_words(panels_of(data, 'relative_change'), 'nothing changed')}{scale.in_words}{_outside_words(weights_of(data))}"
        f"{plan_of(data).says_what_is_left_out('weights.parquet has all')}"
    )


def _outside_words(found: StudyWeightsMoved) -> str:
    """Says how much the kinds changed that have no layer, and so no row; a sentence with a space before it, or nothing."""
    drawn = {cell.kind for cell in found.cells}
    kinds: list[ModuleKind] = [kind for kind in MODULE_KINDS if kind not in drawn]
    said: list[str] = []
    for kind in kinds:
        by_method: dict[str, list[float]] = {}
        for run in found.runs:
            sizes = [group.relative_change for group in run.kinds if group.group == kind and not run.step]
            by_method.setdefault(run.method, []).extend(size for size in sizes if size)
        means = [f"{method_title(m)} {short_number(geometric_mean(sizes))}" for m, sizes in by_method.items() if sizes]
        said += [f"{group_title(kind)}{_SUCH_AS.get(kind, '')} ({', '.join(means)})"] if means else []
    if not said:
        return ""
    return f" Outside the blocks, without a layer and so not drawn: {listed(said)}. A head that the base model lacks cannot be compared."


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


def _kinds(found: StudyWeightsMoved, value: str) -> list[ModuleKind]:
    moved = [cell for cell in found.cells if _moved(cell)]
    valued = {cell.kind for cell in found.cells if value == "relative_change" or getattr(cell, value) is not None}
    return [kind for kind in MODULE_KINDS if kind in valued and any(cell.kind == kind for cell in moved)]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


register(FigureSpec("weight_changes", 20, "Which weights changed", caption, describe, draw, absent=no_weights))
