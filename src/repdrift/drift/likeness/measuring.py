"""Likeness of two models in what can be seen without their weights: drift by layer, and the direction in which rows moved."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.core.records.likeness import (
    DirectionPair,
    LikenessContrast,
    LikenessModel,
    LikenessOf,
    PairLikeness,
    ProfilePair,
)
from repdrift.core.words import method_title, task_title
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.directions.shift_pairs import pairs_of_layer
from repdrift.similarity.arrays import Array
from repdrift.similarity.directions.likeness import ShiftLikeness
from repdrift.statistics import profile_correlations
from repdrift.statistics.likeness_contrast import likeness_contrast
from repdrift.weights.change_likeness import ChangeLikenesses

Floats = NDArray[np.float64]
_LEAST_LAYERS = 3


def weight_pairs_of(found: ChangeLikenesses, places: Mapping[str, int], *, groups: bool) -> list[PairLikeness]:
    """Returns the likeness of the weights of every two models. places: of each name. groups: by kind and layer as well."""
    pairs: list[PairLikeness] = []
    for (i, j), likenesses in found.groups.items():
        first, second = places[found.names[i]], places[found.names[j]]
        whole, *others = likenesses
        pairs.append(PairLikeness(first=first, second=second, whole=whole, groups=others if groups else []))
    return pairs


def profile_pairs(profiles: Mapping[int, Mapping[int, float]]) -> list[ProfilePair]:
    """Compares the drift by layer of every two models.

    profiles: drift by layer, by the model's place; empty for a model whose drift is above the noise of extraction in no layer. Rounding and noise
    have profiles too, which may look alike.
    """
    return [_profile_pair(i, j, profiles[i], profiles[j]) for i, j in combinations(sorted(profiles), 2)]


def _profile_pair(i: int, j: int, one: Mapping[int, float], other: Mapping[int, float]) -> ProfilePair:
    for which, profile in (("first", one), ("second", other)):
        if not any(abs(drift) > ZERO_DRIFT for drift in profile.values()):
            why = f"the drift of the {which} model is above noise in no layer"
            return ProfilePair(first=i, second=j, spearman=None, cosine=None, missing=why)
    layers = [layer for layer in sorted(one.keys() & other.keys()) if np.isfinite([one[layer], other[layer]]).all()]
    if len(layers) < _LEAST_LAYERS:
        why = f"{len(layers)} layers have a drift in both, and a likeness of profiles needs {_LEAST_LAYERS}"
        return ProfilePair(first=i, second=j, spearman=None, cosine=None, missing=why)
    x, y = (np.array([profile[layer] for layer in layers]) for profile in (one, other))
    lengths = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    cosine = float(x / lengths[0] @ (y / lengths[1])) if min(lengths) > 0 else None
    try:
        return ProfilePair(first=i, second=j, spearman=profile_correlations(x, y).spearman, cosine=cosine)
    except DegenerateInputError as error:
        return ProfilePair(first=i, second=j, spearman=None, cosine=cosine, missing=str(error))


def direction_pairs(
    base: Array, rows: Mapping[int, Array], layer: int, groups: Sequence[Hashable] | None
) -> list[DirectionPair]:
    """Compares the mean differences tuned - base of every two models in one layer.

    base: (n, p) and rows: (n, p) by the model's place, the same n samples in the same order. groups: of the samples; None: each by itself.
    """
    return records_of_pairs(pairs_of_layer(base, rows, groups), layer)


def records_of_pairs(pairs: Mapping[tuple[int, int], ShiftLikeness | str], layer: int) -> list[DirectionPair]:
    """Returns the records of pairs of models in one layer. A text is the reason why a pair has no likeness."""
    return [
        DirectionPair(first=i, second=j, layer=layer, cosine=None, missing=alike)
        if isinstance(alike, str)
        else DirectionPair(
            first=i, second=j, layer=layer, cosine=alike.cosine, unbiased=alike.unbiased, chance=alike.chance
        )
        for (i, j), alike in pairs.items()
    ]


def matrix_of(values: Mapping[tuple[int, int], float | None], count: int) -> Floats:
    """Returns a symmetric (count, count) table of likenesses of pairs; NaN where there is none, 1 on its diagonal."""
    found = np.full((count, count), np.nan)
    np.fill_diagonal(found, 1.0)
    for (i, j), value in values.items():
        if value is not None:
            found[i, j] = found[j, i] = value
    return found


def cosines_of(pairs: Sequence[PairLikeness], count: int) -> Floats:
    """Returns the cosines of whole models as a table."""
    return matrix_of({(pair.first, pair.second): pair.whole.cosine for pair in pairs}, count)


def correlations_of(profiles: Sequence[ProfilePair], count: int) -> Floats:
    """Returns the rank correlations of drift by layer as a table."""
    return matrix_of({(pair.first, pair.second): pair.spearman for pair in profiles}, count)


def clustered(values: Floats) -> list[int]:
    """Returns the order in which clustering (average linkage of 1 - likeness) puts models; those without any likeness last."""
    count = len(values)
    alone = [i for i in range(count) if not np.isfinite(np.delete(values[i], i)).any()]
    there = [i for i in range(count) if i not in alone]
    if len(there) < 3:
        return [*there, *alone]
    distances = 1.0 - np.nan_to_num(values[np.ix_(there, there)], nan=0.0)
    np.fill_diagonal(distances, 0.0)
    linked = hierarchy.linkage(
        squareform(np.clip(distances, 0.0, None), checks=False), "average", optimal_ordering=True
    )
    return [*(there[int(i)] for i in hierarchy.leaves_list(linked)), *alone]


def contrasts_of(of: LikenessOf, values: Floats, models: Sequence[LikenessModel]) -> list[LikenessContrast]:
    """Tests for each task whether models of one method are more alike than those of different ones, the same of seeds, and for each method of tasks.

    Models of one seed may share the start of their head and adapters and the order of their rows: they are blocks, and what they share is tested
    by the labels of seeds, within blocks of methods.
    """
    found: list[LikenessContrast] = []
    for label, within, block in (("method", "task", "seed"), ("seed", "task", "method"), ("task", "method", "seed")):
        for shared in dict.fromkeys(getattr(model, within) for model in models):
            places = [i for i, model in enumerate(models) if getattr(model, within) == shared]
            places = [i for i in places if np.isfinite(values[i, places]).sum() > 1]  # its own place is one of them
            labels = [str(getattr(models[i], label)) for i in places]
            if len(set(labels)) < 2:
                continue
            title = task_title(str(shared)) if within == "task" else method_title(str(shared))
            try:
                blocks = [getattr(models[i], block) for i in places]
                result = likeness_contrast(values[np.ix_(places, places)], labels, blocks=blocks)
            except RepdriftError:
                continue
            found.append(
                LikenessContrast(
                    of=of,
                    within=title,
                    label=label,  # pyright: ignore[reportArgumentType]
                    labels=list(dict.fromkeys(labels)),
                    models=len(places),
                    mean_within=result.within,
                    mean_between=result.between,
                    difference=result.difference,
                    pvalue=result.pvalue,
                    smallest_pvalue=result.smallest_pvalue,
                    exact=result.exact,
                )
            )
    return found
