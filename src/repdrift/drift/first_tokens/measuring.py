"""Shifts of one trained model at the first tokens of general text, and the tokens read from them, beside random changes of its size.

A token is named only if its score lies beyond that of every random direction for any token, in every layer and at every position, and beyond that
of every random change of the weights as well. So of a model whose shifts are drawn like those directions, about one in 65 names any token at all,
however many layers and positions there are. And the documents must have the shift in common (sign flips, corrected over layers and positions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from repdrift.core.records.directions import SHIFT_LEVEL, ReadToken, TokenReading
from repdrift.core.records.first_tokens import FirstTokenShift, ModelFirstTokens, RandomReading
from repdrift.drift.first_tokens.base_reader import BaseReader, Place
from repdrift.similarity.directions.differences import Differences, differences
from repdrift.similarity.directions.shift import unit_products
from repdrift.statistics.flipped_means import flipped_means_test

LEAST_DOCUMENTS = 4
"""Documents that differences need at least."""

_ROUNDING = "The states moved by no more than the rounding of their numbers, so that there is no direction to read."

Rows = Mapping[int, Tensor]


def model_first_tokens(base: BaseReader, tuned: Rows, random: Iterable[tuple[int, Rows]]) -> ModelFirstTokens:
    """Measures one model. tuned: by layer (n, d) its rows of the base reader's texts. random: the same of random changes, with the noise seed of each.

    Raises ShapeError if the models differ in features; OutcomeNotApplicable or ModelError if the unembedding cannot read a shift.
    """
    found: dict[tuple[int, int], FirstTokenShift] = {}
    moved: dict[tuple[int, int], Differences] = {}
    places = base.places()
    for place in places:
        at = place.layer, place.position
        found[at], d = _shift(base, place, tuned)
        if d is not None:
            moved[at] = d
    draws = 0
    for noise_seed, rows in random:
        draws += 1
        for place in places:
            at = place.layer, place.position
            if at in moved:
                reading = _random(base, place, rows, noise_seed)
                found[at] = found[at].model_copy(update={"random": [*found[at].random, reading]})
    found |= _tested(found, moved)
    chance = _chance(found.values())
    named = [_named(shift, chance) for shift in found.values()]
    return ModelFirstTokens(shifts=named, chance=chance, draws=draws)


def _shift(base: BaseReader, place: Place, tuned: Rows) -> tuple[FirstTokenShift, Differences | None]:
    record = FirstTokenShift(
        layer=place.layer,
        position=place.position,
        documents=len(place.rows),
        beginnings=len(set(place.beginnings)),
        base_norm=float(place.base.double().norm(dim=1).mean()),
    )
    if len(place.rows) < LEAST_DOCUMENTS:
        few = f"{len(place.rows)} of the documents are so long, and {LEAST_DOCUMENTS} at least are needed."
        return record.model_copy(update={"missing": few}), None
    d = differences(place.base, tuned[place.layer][place.rows], place.beginnings)
    shift = float(torch.linalg.vector_norm(d.mean))
    record = record.model_copy(update={"shift": shift})
    if d.are_rounding or shift == 0:
        return record.model_copy(update={"missing": _ROUNDING}), None
    tokens = base.tokens.of_shift(place.mean, d.mean, base.by_chance(place))
    return record.model_copy(update={"tokens": tokens}), d


def _random(base: BaseReader, place: Place, rows: Rows, noise_seed: int) -> RandomReading:
    d = differences(place.base, rows[place.layer][place.rows], place.beginnings)
    shift = float(torch.linalg.vector_norm(d.mean))
    if d.are_rounding or shift == 0:
        return RandomReading(noise_seed=noise_seed, shift=shift)
    tokens = base.tokens.of_shift(place.mean, d.mean, base.by_chance(place))
    return RandomReading(noise_seed=noise_seed, shift=shift, tokens=tokens.within_chance())


def _tested(
    found: Mapping[tuple[int, int], FirstTokenShift], moved: Mapping[tuple[int, int], Differences]
) -> dict[tuple[int, int], FirstTokenShift]:
    """Adds p-values where there are several beginnings: corrected over layers by the test, and over positions by their number."""
    tested = {at: d for at, d in moved.items() if d.n_units > 1}
    positions = sorted({position for _, position in tested})
    result: dict[tuple[int, int], FirstTokenShift] = {}
    for position in positions:
        layers = [at for at in tested if at[1] == position]
        test = flipped_means_test([unit_products(tested[at]) for at in layers])
        for number, at in enumerate(layers):
            adjusted = min(1.0, float(test.adjusted[number]) * len(positions))
            result[at] = found[at].model_copy(
                update={"pvalue": float(test.pvalue[number]), "adjusted_pvalue": adjusted}
            )
    return result


def _chance(shifts: Iterable[FirstTokenShift]) -> float | None:
    """The largest score that anything random gives any token, at every place that was read."""
    scores = [
        score
        for shift in shifts
        if shift.tokens is not None
        for score in (shift.tokens.chance, *(largest_score(of.tokens) for of in shift.random if of.tokens is not None))
    ]
    return max(scores, default=None)


def largest_score(reading: TokenReading) -> float:
    """The largest size of a score of a reading."""
    return max((abs(token.score) for token in (*reading.top, *reading.bottom)), default=0.0)


def _named(shift: FirstTokenShift, chance: float | None) -> FirstTokenShift:
    if shift.tokens is None or chance is None:
        return shift
    in_common = shift.adjusted_pvalue is None or shift.adjusted_pvalue <= SHIFT_LEVEL

    def judged(tokens: list[ReadToken]) -> list[ReadToken]:
        return [t.model_copy(update={"beyond_chance": in_common and abs(t.score) > chance}) for t in tokens]

    ends = {"top": judged(shift.tokens.top), "bottom": judged(shift.tokens.bottom)}
    return shift.model_copy(update={"tokens": shift.tokens.model_copy(update=ends)})
