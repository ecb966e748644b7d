"""The base model at the first tokens of general text: its states by layer and position, and what random directions give there."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.fingerprint import config_sha256
from repdrift.drift.directions.token_reading import ChanceLogits, TokenReadings
from repdrift.drift.first_tokens.texts import FirstTokens


@dataclass(frozen=True)
class Place:
    """One layer and position. rows: numbers of the tokens' rows. base: (n, d) their states. beginnings: what determines each."""

    layer: int
    position: int
    rows: list[int]
    base: Tensor
    beginnings: list[Hashable]

    @property
    def at(self) -> tuple[int, int]:
        """The layer and the position."""
        return self.layer, self.position

    @property
    def mean(self) -> Tensor:
        """The mean state: (d,) float64."""
        return self.base.double().mean(dim=0)


class BaseReader:
    """Reads shifts at the base model's states. What random directions give at a place is computed once for all models of the study."""

    def __init__(self, rows: Mapping[int, Tensor], texts: FirstTokens, tokens: TokenReadings) -> None:
        """rows: by layer (n, d), a row for each token of `texts`."""
        self._rows = rows
        self.texts = texts
        self.tokens = tokens
        self._by_chance: dict[tuple[int, int], ChanceLogits] = {}

    def places(self) -> list[Place]:
        """Every layer and position of which there is a document."""
        found: list[Place] = []
        for position in range(self.texts.positions):
            numbers, beginnings = self.texts.rows_at(position), self.texts.beginnings_at(position)
            if numbers:
                found += [
                    Place(layer, position, numbers, rows[numbers], beginnings) for layer, rows in self._rows.items()
                ]
        return found

    def by_chance(self, place: Place) -> ChanceLogits:
        """Returns the logits of random directions at a place. Raises OutcomeNotApplicable or ModelError as `TokenReadings` does."""
        at = place.at
        if at not in self._by_chance:
            base = place.base.double()
            scatter = base - base.mean(dim=0)
            if len(set(place.beginnings)) == 1:  # one state: what differs is rounding, which has no direction
                scatter = torch.zeros_like(scatter)
            found = self.tokens.by_chance(place.mean, scatter, seed_of("directions", *at))
            self._by_chance[at] = ChanceLogits(found.squares.float(), found.chance, found.draws)
        return self._by_chance[at]


def seed_of(*parts: str | int) -> int:
    """Returns a seed below 2^32 for these parts, equal on every machine."""
    return int(config_sha256({"first tokens": list(parts)})[:8], 16)
