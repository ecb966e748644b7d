"""Shifts of one trained model at the first tokens of general text, and the tokens read from them, beside random changes of its size.

A token is named only if its score lies beyond that of every random direction for any token, in every layer and at every position, and beyond that
of every random change of the weights as well. So of a model whose shifts are drawn like those directions, about one in 65 names any token at all,
however many layers and positions there are. And the documents must have the shift in common (sign flips, corrected over layers and positions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
At = tuple[int, int]
"""A layer and a position."""


def model_first_tokens(base: BaseReader, tuned: Rows, random: Iterable[tuple[int, Rows]]) -> ModelFirstTokens:
    """Measures one model. tuned: by layer (n, d) its rows of the base reader's texts. random: the same of random changes, with the noise seed of each.

    Raises ShapeError if the models differ in features; OutcomeNotApplicable or ModelError if the unembedding cannot read a shift.
    """
    places = base.places()
    found: dict[At, FirstTokenShift] = {}
    moved: dict[At, Differences] = {}
    for place in places:
        found[place.at], d = _shift(place, tuned)
        if d is not None:
            moved[place.at] = d
    drawn = [(noise_seed, _shifts(places, rows, moved)) for noise_seed, rows in random]
    for place in places:
        if place.at in moved:
            found[place.at] = _read(base, place, found[place.at], moved[place.at].mean, drawn)
    found |= _tested(found, moved)
    chance = _chance(found.values())
    named = [_named(shift, chance) for shift in found.values()]
    return ModelFirstTokens(shifts=named, chance=chance, draws=len(drawn))


def _shift(place: Place, tuned: Rows) -> tuple[FirstTokenShift, Differences | None]:
    """The shift of one place without tokens, and the differences there; None where nothing can be read."""
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
    record = record.model_copy(update={"shift": float(torch.linalg.vector_norm(d.mean))})
    if d.are_rounding or record.shift == 0:
        return record.model_copy(update={"missing": _ROUNDING}), None
    return record, d


def _shifts(places: Iterable[Place], rows: Rows, moved: Mapping[At, Differences]) -> dict[At, Tensor]:
    """The mean differences of a random change where the model moved; zero where they are rounding. The rows themselves are not kept."""
    found: dict[At, Tensor] = {}
    for place in places:
        if place.at in moved:
            d = differences(place.base, rows[place.layer][place.rows], place.beginnings)
            found[place.at] = torch.zeros_like(d.mean) if d.are_rounding else d.mean
    return found


def _read(
    base: BaseReader,
    place: Place,
    record: FirstTokenShift,
    shift: Tensor,
    drawn: Sequence[tuple[int, dict[At, Tensor]]],
) -> FirstTokenShift:
    """Reads the tokens of the model's shift and of those of random changes, in one pass."""
    randoms = [(noise_seed, shifts[place.at]) for noise_seed, shifts in drawn]
    there = [random for _, random in randoms if bool(random.any())]
    own, *others = base.tokens.of_shifts(place.mean, torch.stack([shift, *there]), base.by_chance(place))
    readings = iter(others)
    return record.model_copy(
        update={
            "tokens": own,
            "random": [
                RandomReading(
                    noise_seed=noise_seed,
                    shift=float(torch.linalg.vector_norm(random)),
                    tokens=next(readings).within_chance() if bool(random.any()) else None,
                )
                for noise_seed, random in randoms
            ],
        }
    )


def _tested(found: Mapping[At, FirstTokenShift], moved: Mapping[At, Differences]) -> dict[At, FirstTokenShift]:
    """Adds p-values where there are several beginnings: corrected over layers by the test, and over positions by their number."""
    tested = {at: d for at, d in moved.items() if d.n_units > 1}
    positions = sorted({position for _, position in tested})
    result: dict[At, FirstTokenShift] = {}
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
