"""Intruder dimensions, by kind of module (rows) and layer (columns): a panel for each method."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.words import counted, method_title, short_number
from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures.weights import (
    draw_weights,
    methods_of,
    no_weights,
    panels_of,
    plan_of,
    weights_of,
)
from repdrift.report.report_data import ReportData
from repdrift.report.weight_panels import pattern_words


def draw(data: ReportData) -> Figure:
    """The panels, on one scale."""
    return draw_weights(data, "intruders", "intruder dimensions of a model", "none")


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    found = weights_of(data)
    return (
        f"Intruder dimensions: of the {found.leading} leading left singular vectors of each tuned matrix, those whose |cosine| with every left singular vector of "
        f"the base is below {found.intruder_cosine:g}; sum over the matrices of a kind in a layer, mean over the final models of all tasks; the lighter, the more. "
        f"{pattern_words(panels_of(data, 'intruders'), 'none')} Norms and biases are no matrices.{plan_of(data).says_what_is_left_out('weights.parquet has all')}"
    )


def describe(data: ReportData) -> str:
    """Says how many intruders a model of each method has, and in which layer most are."""
    found, said = weights_of(data), []
    for method, panel in zip(methods_of(found), panels_of(data, "intruders"), strict=True):
        by_layer = np.nansum(panel.grid, axis=0)
        most = int(by_layer.argmax())
        where = (
            f", most in layer {panel.layers[most]} ({short_number(float(by_layer[most]))})"
            if by_layer[most] > 0
            else ""
        )
        final = sum(run.method == method and not run.step for run in found.runs)
        said.append(
            f"{method_title(method)}: {short_number(by_layer.sum())} in a model, mean over {counted(final, 'final model')}{where}"
        )
    return f"Intruder dimensions by kind of module and layer. {'; '.join(said)}."


def _absent(data: ReportData) -> str | None:
    why = no_weights(data)
    if why is not None:
        return why
    known = any(cell.intruders is not None for cell in weights_of(data).cells)
    return None if known else "no matrix has singular vectors that could be compared with those of the base"


register(
    FigureSpec(
        "intruder_dimensions",
        20.5,
        "Directions that the base model did not have",
        caption,
        describe,
        draw,
        absent=_absent,
    )
)
