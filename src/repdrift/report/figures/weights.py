"""Relative change of the weights and intruder dimensions, by kind of module (rows) and layer (columns), a pair of panels for each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from repdrift.core.records.weights import MODULE_KINDS, ModuleKind, StudyWeightsMoved, WeightCell
from repdrift.core.weights_words import group_title
from repdrift.core.words import counted, method_title, short_number
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, no_section, register
from repdrift.report.report_data import ReportData
from repdrift.report.style import method_label
from repdrift.report.weight_panels import draw_panel, log_scale

_ROW_IN = 0.2


def draw(data: ReportData) -> Figure:
    """Two panels for each method: the relative change on a logarithmic scale, and the intruders of a model."""
    found = _found(data)
    methods, kinds, layers = _methods(found), _kinds(found), sorted({cell.layer for cell in found.cells})
    changes = [_grid(found, method, kinds, layers, "relative_change") for method in methods]
    intruders = [_grid(found, method, kinds, layers, "intruders") for method in methods]
    most = max(1.0, *(float(np.nanmax(grid, initial=0.0)) for grid in intruders))
    figure = Figure(figsize=(page_width_in(), (0.85 + _ROW_IN * len(kinds)) * len(methods)))
    panels: Any = figure.subplots(len(methods), 2, sharey=True, squeeze=False)
    names = [group_title(kind) for kind in kinds]
    scale: LogNorm = log_scale(changes)
    for row, method in enumerate(methods):
        left, right = panels[row]
        draw_panel(left, changes[row], scale, layers, names, f"{method_label(method)}: ||dW|| / ||W||")
        draw_panel(right, intruders[row], Normalize(0.0, most), layers, names, "intruder dimensions of a model")
    return figure


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    found = _found(data)
    return (
        "Change of the weights of a kind in a layer, joined, relative to their size (geometric mean over the final models of all tasks; 0: nothing "
        f"changed), and intruder dimensions: of the {found.leading} leading left singular vectors of each tuned matrix, those whose |cosine| with "
        f"every left singular vector of the base is below {found.intruder_cosine:g} (mean over models). Hatched: no value."
    )


def describe(data: ReportData) -> str:
    """Says where each method moved the weights most, and how many intruders its models have."""
    found = _found(data)
    said: list[str] = []
    for method in _methods(found):
        of_method = [cell for cell in found.cells if cell.method == method and cell.relative_change is not None]
        most = max(of_method, key=lambda cell: cell.relative_change or 0.0)
        final = [run for run in found.runs if run.method == method and not run.step]
        new = sum(run.whole.intruders or 0 for run in final)
        said.append(
            f"{method_title(method)}: the largest relative change is {short_number(most.relative_change or 0.0)}, in {group_title(most.kind)} of layer "
            f"{most.layer}; {counted(new, 'intruder dimension')} in {counted(len(final), 'final model')}."
        )
    return " ".join(said)


def _found(data: ReportData) -> StudyWeightsMoved:
    moved = data.results.moved
    if moved is None or moved.weights is None:
        raise AssertionError("drawn only where `possible` holds")
    return moved.weights


def _absent(data: ReportData) -> str | None:
    moved = data.results.moved
    if moved is None or moved.weights is None:
        return no_section(data, "weights")
    return (
        None if any(_moved(cell) for cell in moved.weights.cells) else "no weight inside a block changed in any model"
    )


def _moved(cell: WeightCell) -> bool:
    return cell.relative_change is None or cell.relative_change > 0.0


def _methods(found: StudyWeightsMoved) -> list[str]:
    return list(dict.fromkeys(cell.method for cell in found.cells if cell.relative_change is not None))


def _kinds(found: StudyWeightsMoved) -> list[ModuleKind]:
    return [kind for kind in MODULE_KINDS if any(cell.kind == kind and _moved(cell) for cell in found.cells)]


def _grid(
    found: StudyWeightsMoved, method: str, kinds: Sequence[ModuleKind], layers: Sequence[int], value: str
) -> NDArray[np.float64]:
    known = {(cell.kind, cell.layer): getattr(cell, value) for cell in found.cells if cell.method == method}
    return np.array([[_number(known.get((kind, layer))) for layer in layers] for kind in kinds])


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


register(FigureSpec("weight_changes", 20, "Which weights changed", caption, describe, draw, absent=_absent))
