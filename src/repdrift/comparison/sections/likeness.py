"""The section on likeness: how alike the changes of any two tuned models are, in weights, drift by layer, and directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.comparison.sections import ComparisonSection, SectionFound, SectionInputs, register
from repdrift.comparison.sections.directions import row_groups
from repdrift.core.errors import DataError, RepdriftError
from repdrift.core.likeness_matrices import mean_over_layers
from repdrift.core.likeness_words import likeness_section
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.likeness import LIKENESS_TABLE, ChangeLikeness, DirectionPair, LikenessModel
from repdrift.core.worded_section import WordedSection
from repdrift.drift.likeness.measuring import (
    clustered,
    correlations_of,
    cosines_of,
    direction_pairs,
    matrix_of,
    profile_pairs,
    weight_pairs_of,
)
from repdrift.drift.likeness.tables import likeness_table
from repdrift.weights.base_matrices import base_matrices
from repdrift.weights.change_likeness import ChangeLikenesses, change_likenesses
from repdrift.weights.singular_subspaces import LEADING

if TYPE_CHECKING:
    import pandas as pd

    from repdrift.report.rendering import Drawing


def measure(inputs: SectionInputs) -> SectionFound:
    """Compares every two of the tuned models; of files one matrix at a time is in memory. Raises DataError if one alone was asked for."""
    names = [tuned.name for tuned in inputs.tuned]
    if len(names) < 2:
        if inputs.options.sections is None:
            return SectionFound()
        raise DataError("likeness is that of two tuned models, and one could be compared. Give another one.")
    places = {name: place for place, name in enumerate(names)}
    left_out: list[str] = []
    weights = _of_weights(inputs, left_out)
    pairs = [] if weights is None else weight_pairs_of(weights, places, groups=True)
    profiles = profile_pairs({places[name]: inputs.profiles[name] for name in names if name in inputs.profiles})
    directions = _of_directions(inputs, places, left_out)
    found = ChangeLikeness(
        models=[LikenessModel(name=name) for name in names],
        pairs=pairs,
        profiles=profiles,
        directions=directions,
        order=clustered(cosines_of(pairs, len(names))),
        profile_order=clustered(correlations_of(profiles, len(names))),
        direction_order=clustered(matrix_of(mean_over_layers(directions), len(names))),
        leading=LEADING,
        cautions=[] if weights is None else weights.cautions,
        notes=[] if weights is None else weights.notes,
        left_out=left_out,
    )
    return SectionFound(whole=found)


def _of_weights(inputs: SectionInputs, left_out: list[str]) -> ChangeLikenesses | None:
    try:
        base = base_matrices(inputs.base, blocks=inputs.blocks_path, stack=inputs.options.stack)
        found = change_likenesses(base, {tuned.name: tuned.source for tuned in inputs.tuned})
    except RepdriftError as error:
        left_out.append(f"Weights: {error}")
        return None
    left_out += [f"Weights of {name}: {reason}" for name, reason in found.missing.items()]
    left_out += [f"Weights of {name}: {line}" for name, lines in found.not_compared.items() for line in lines]
    return found


def _of_directions(inputs: SectionInputs, places: dict[str, int], left_out: list[str]) -> list[DirectionPair]:
    if inputs.rows is None:
        left_out.append(
            "Directions: only sums were kept, and they need the rows. Give --accumulate rows, or fewer samples."
        )
        return []
    groups, _ = row_groups(inputs.samples, per_token=inputs.options.pooling == "tokens")
    found: list[DirectionPair] = []
    for layer, base in inputs.rows.base.items():
        there = {
            places[name]: rows[layer]
            for name, rows in inputs.rows.tuned.items()
            if name in places and layer in rows and rows[layer].shape == base.shape
        }
        found += direction_pairs(base, there, layer, groups)
    return found


def worded(result: Comparison) -> WordedSection | None:
    """The section in words."""
    found = _of(result)
    return None if found is None else likeness_section(found)


def tables(result: Comparison) -> dict[str, pd.DataFrame]:
    """One row for each pair of models, and group of weights or layer."""
    found = _of(result)
    return {} if found is None else {LIKENESS_TABLE: likeness_table(found)}


def drawings(result: Comparison) -> dict[str, Drawing | None]:
    """The likenesses of all pairs, each kind in the order of its clustering."""
    from repdrift.report.likeness_figure import FIGURE_NAMES, likeness_drawing

    found = _of(result)
    return {} if found is None else {name: likeness_drawing(found, of) for of, name in FIGURE_NAMES.items()}


def _of(result: Comparison) -> ChangeLikeness | None:
    return None if result.moved is None else result.moved.likeness


register(ComparisonSection("likeness", 20, False, measure, tables, worded_whole=worded, drawings=drawings))
