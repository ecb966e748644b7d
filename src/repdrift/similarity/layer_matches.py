"""Best-matching layers of two models, and which content stands in another layer than before: the grid, with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from repdrift.similarity.layer_grids import LayerGrid, LayerSide
from repdrift.similarity.uncertainty.best_matches import TIE, BestMatch, Jackknife, best_match, surely_above

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class LayerMatch:
    """The best match of one layer among the layers of the other model, all by layer number.

    as_good: layers that are not shown to match worse, `best` among them. ahead: by how much `best` is before the second best, with its
    interval. own: similarity with the layer of the same number; None if there is none. before: similarity of the base model's own layer
    of this number with `best`. moved: see `match_layers`.
    """

    layer: int
    best: int
    value: float
    as_good: tuple[int, ...]
    ahead: float | None
    ahead_low: float | None
    ahead_high: float | None
    own: float | None
    before: float | None = None
    moved: Direction | None = None


@dataclass(frozen=True)
class LayerMatches:
    """The three grids of a base model and a tuned one, and the best matches both ways."""

    base_tuned: LayerGrid
    base_base: LayerGrid
    tuned_tuned: LayerGrid
    of_tuned: list[LayerMatch]
    of_base: list[LayerMatch]


def match_layers(
    base: LayerSide, tuned: LayerSide, *, freedom: float | None, by_number: bool, tie: float = TIE
) -> LayerMatches:
    """Seek the best match of each layer of both models.

    freedom: degrees of freedom of the jackknife over the sides' parts; None: there is no interval, no layer is told from another and
    nothing has moved. by_number: whether a layer of the tuned model descends from the base model's layer of the same number. Only then can
    its content have moved. tie: similarities that differ by no more are never told apart.

    Content has moved to tuned layer j from base layer i where three things are shown: j is like i and not like any base layer on its own
    side of j or at it; it is more like i than like base layer j; and it is more like i than base layer j itself is. The last one
    separates a move from layers that were alike before. Content that moved up stands in a later layer than it did (i < j).
    All differences of one model's layers are judged together, at 95 %.
    """
    between, own = base.against(tuned), base.with_itself()
    layers, others = tuned.layers, base.layers
    sure = _sure(freedom, len(layers), len(others))
    of_tuned: list[LayerMatch] = []
    for column, layer in enumerate(layers):
        found = best_match(between.values[:, column], between.without[:, :, column], sure, tie)
        if found is not None:
            match = _match(layer, found, others, between.values[:, column])
            if by_number and layer in others:
                match = _judged(match, found, others.index(layer), column, between, own, sure, tie)
            of_tuned.append(match)
    of_base: list[LayerMatch] = []
    reverse = _sure(freedom, len(others), len(layers))
    for row, layer in enumerate(others):
        found = best_match(between.values[row], between.without[:, row], reverse, tie)
        if found is not None:
            of_base.append(_match(layer, found, layers, between.values[row]))
    return LayerMatches(between, own, tuned.with_itself(), of_tuned, of_base)


def _sure(freedom: float | None, layers: int, candidates: int) -> Jackknife | None:
    return None if freedom is None else Jackknife(freedom, layers * (candidates - 1))


def _match(layer: int, found: BestMatch, numbers: Sequence[int], values: np.ndarray) -> LayerMatch:
    own = float(values[numbers.index(layer)]) if layer in numbers else np.nan
    return LayerMatch(
        layer=layer,
        best=numbers[found.best],
        value=found.value,
        as_good=tuple(numbers[place] for place in found.as_good),
        ahead=found.ahead,
        ahead_low=found.ahead_low,
        ahead_high=found.ahead_high,
        own=own if np.isfinite(own) else None,
    )


def _judged(
    match: LayerMatch,
    found: BestMatch,
    own: int,
    column: int,
    between: LayerGrid,
    base: LayerGrid,
    sure: Jackknife | None,
    tie: float,
) -> LayerMatch:
    """The match with what base x base says of it. own: the place of the base layer of the same number."""
    before = float(base.values[found.best, own])
    before_known = before if np.isfinite(before) else None
    moved: Direction | None = None
    sides = {(place > own) - (place < own) for place in found.as_good}
    if sure is not None and match.own is not None and before_known is not None and sides in ({-1}, {1}):
        is_nearer = surely_above(
            match.value, before, between.without[:, found.best, column], base.without[:, found.best, own], sure, tie
        )
        if is_nearer:
            moved = "up" if sides == {-1} else "down"
    return LayerMatch(**{**vars(match), "before": before_known, "moved": moved})
