"""The section on the weights: how every matrix of a tuned model changed, by kind of module and layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from repdrift.comparison.sections import ComparisonSection, SectionFound, SectionInputs, register
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.weights import ModelWeightsMoved
from repdrift.core.weights_words import model_weights_worded
from repdrift.core.worded_section import WordedSection
from repdrift.weights import WEIGHTS_TABLE, WeightOptions, base_matrices, moved_rows, moved_table, moved_weights

if TYPE_CHECKING:
    from repdrift.report.rendering import Drawing


def measure(inputs: SectionInputs) -> SectionFound:
    """Measures every model from its files; of safetensors files one matrix at a time is in memory."""
    base = base_matrices(inputs.base, blocks=inputs.blocks_path, stack=inputs.options.stack)
    options = WeightOptions(inputs.options.intruder_directions, inputs.options.intruder_cosine)
    found = moved_weights(base, {tuned.name: tuned.source for tuned in inputs.tuned}, options)
    return SectionFound(by_model=found.models, left_out=found.missing)


def worded(_result: Comparison, model: ComparedModel) -> WordedSection | None:
    """The weights of one model in words."""
    found = _of(model)
    return None if found is None else model_weights_worded(found)


def tables(result: Comparison) -> dict[str, pd.DataFrame]:
    """One row for each matrix and model."""
    rows = [
        row
        for model in result.compared
        if (found := _of(model)) is not None
        for row in moved_rows({"model": model.name}, found)
    ]
    return {WEIGHTS_TABLE: moved_table(rows, ["model"])} if rows else {}


def drawings(result: Comparison) -> dict[str, Drawing | None]:
    """The relative change and the intruders of every model, by kind of module and layer."""
    from repdrift.report.weights_figure import FIGURE_NAME, INTRUDERS_NAME, intruders_drawing, weights_drawing

    return {FIGURE_NAME: weights_drawing(result), INTRUDERS_NAME: intruders_drawing(result)}


def _of(model: ComparedModel) -> ModelWeightsMoved | None:
    return None if model.moved is None else model.moved.weights


register(ComparisonSection("weights", 10, False, measure, tables, worded, drawings=drawings))
