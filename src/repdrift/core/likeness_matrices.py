"""Likenesses of models as matrices: one number for each pair of models, of their weights, their drift by layer, and their directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from repdrift.core.records.likeness import ChangeLikeness, DirectionPair, LikenessOf

Pair = tuple[int, int]


@dataclass(frozen=True)
class LikenessMatrix:
    """One kind of likeness. values: by the places of two models, None where a pair has none. order: places as clustering by it puts the models that have a pair."""

    of: LikenessOf
    values: Mapping[Pair, float | None]
    order: list[int]


def likeness_matrix(found: ChangeLikeness, of: LikenessOf) -> LikenessMatrix:
    """Returns one matrix. Results of older versions hold the order of weights alone, and the other matrices have that."""
    values: Mapping[Pair, float | None]
    if of == "weights":
        values, order = {(p.first, p.second): p.whole.cosine for p in found.pairs}, found.order
    elif of == "profiles":
        values, order = {(p.first, p.second): p.spearman for p in found.profiles}, found.profile_order
    else:
        values, order = mean_over_layers(found.directions), found.direction_order
    paired = {place for pair in values for place in pair}
    return LikenessMatrix(of, values, [place for place in order or found.order if place in paired])


def common_layers(directions: Sequence[DirectionPair]) -> list[int]:
    """Returns the layers in which every two models have a cosine, those pairs left out that have one in no layer.

    A mean over these alone is of the same layers for every pair: a model that froze its lower layers has no direction there.
    """
    layers: dict[Pair, set[int]] = {}
    for at in directions:
        if at.cosine is not None:
            layers.setdefault((at.first, at.second), set()).add(at.layer)
    every = sorted({layer for of_pair in layers.values() for layer in of_pair})
    return [layer for layer in every if all(layer in of_pair for of_pair in layers.values())]


def mean_over_layers(directions: Sequence[DirectionPair]) -> dict[Pair, float | None]:
    """Returns for every two models the mean of their cosines over `common_layers`; None for those that have none there."""
    common = set(common_layers(directions))
    cosines: dict[Pair, list[float]] = {(at.first, at.second): [] for at in directions}
    for at in directions:
        if at.layer in common and at.cosine is not None:
            cosines[at.first, at.second].append(at.cosine)
    return {pair: fmean(of) if of else None for pair, of in cosines.items()}
