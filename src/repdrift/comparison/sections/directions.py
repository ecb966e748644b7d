"""The section on directions: in which directions the pooled rows of each tuned model moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repdrift.comparison.sections import ComparisonSection, KeptRows, SectionFound, SectionInputs, register
from repdrift.core.directions_words import directions_section
from repdrift.core.errors import DataError, RepdriftError
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.directions import DIRECTION_TOKENS_TABLE, DIRECTIONS_TABLE, ModelDirections
from repdrift.core.worded_section import WordedSection
from repdrift.drift.directions.measuring import DirectionSettings, model_directions
from repdrift.drift.directions.random_change import RandomRows
from repdrift.drift.directions.tables import direction_rows, table_of, token_rows
from repdrift.drift.directions.token_reading import TokenReadings
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.models import load_tokenizer
from repdrift.tasks import SampleSet

if TYPE_CHECKING:
    import pandas as pd

    from repdrift.report.rendering import Drawing


def measure(inputs: SectionInputs) -> SectionFound:
    """Measures the directions of every model. Raises DataError where no rows were kept."""
    if inputs.rows is None:
        raise DataError(
            "directions are measured from the pooled rows, and only sums were kept. Give --accumulate rows, or fewer samples."
        )
    groups, unit = row_groups(inputs.samples, per_token=inputs.options.pooling == "tokens")
    settings = DirectionSettings(groups, unit, seed=inputs.options.seed)
    tokens = token_readings(inputs) if inputs.tuned else None
    found: dict[str, ModelDirections] = {}
    left_out: dict[str, str] = {}
    for tuned in inputs.tuned:
        try:
            found[tuned.name] = model_directions(
                inputs.rows.base,
                inputs.rows.tuned[tuned.name],
                settings,
                random_change=_random_change(inputs.rows, tuned.name),
                tokens=tokens,
            )
        except RepdriftError as error:
            left_out[tuned.name] = str(error)
    return SectionFound(by_model=found, left_out=left_out)


def _random_change(rows: KeptRows, name: str) -> RandomRows | None:
    return RandomRows(rows.random_change[name], rows.control_rows) if name in rows.random_change else None


def token_readings(inputs: SectionInputs) -> TokenReadings | str:
    """Reads tokens with the base model's head; the reason why not, if it has none."""
    try:
        unembedding = Unembedding.of(inputs.base, dtype=inputs.options.compute_dtype, blocks=inputs.options.blocks)
        tokenizer = inputs.samples.tokenizer or load_tokenizer(inputs.base)
        return TokenReadings(unembedding, tokenizer, seed=inputs.options.seed)
    except RepdriftError as error:
        return str(error)


def row_groups(samples: SampleSet, *, per_token: bool) -> tuple[Sequence[str] | None, str]:
    """The group of each row, None if each stands alone, and a group in one word: tokens of one sample belong together."""
    if not per_token:
        return samples.groups, samples.group_unit
    if samples.groups is not None:
        of_samples, unit = list(samples.groups), samples.group_unit
    else:
        of_samples, unit = [str(index) for index in range(len(samples))], "sample"
    return [group for group, count in zip(of_samples, samples.pooled_lengths, strict=True) for _ in range(count)], unit


def worded(_result: Comparison, model: ComparedModel) -> WordedSection | None:
    """The section on one model, in words."""
    found = None if model.moved is None else model.moved.directions
    return None if found is None else directions_section(found)


def tables(result: Comparison) -> dict[str, pd.DataFrame]:
    """The tables of all models."""
    found = [
        (model.name, model.moved.directions)
        for model in result.models
        if model.moved is not None and model.moved.directions is not None
    ]
    written: dict[str, pd.DataFrame] = {}
    rows = [row for name, directions in found for row in direction_rows({"model": name}, directions)]
    tokens = [row for name, directions in found for row in token_rows({"model": name}, directions)]
    if rows:
        written[DIRECTIONS_TABLE] = table_of(rows)
    if tokens:
        written[DIRECTION_TOKENS_TABLE] = table_of(tokens)
    return written


def drawings(result: Comparison) -> dict[str, Drawing | None]:
    """Shares of the change and size of the shift by layer, for every model that moved."""
    from repdrift.report.directions_figure import FIGURE_NAME, directions_drawing

    return {FIGURE_NAME: directions_drawing(result)}


register(
    ComparisonSection(
        name="directions", order=40, by_default=True, measure=measure, tables=tables, worded=worded, drawings=drawings
    )
)
