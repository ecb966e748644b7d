"""Shares of the drift by sample, layer by layer, and the samples whose share stands out from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.sites import SiteLayer
from repdrift.similarity import Representation
from repdrift.similarity.kernels.bulk_moves import moved_at_random, moves_beside
from repdrift.similarity.kernels.sample_shares import RowParts, SampleShares, cosine_changes
from repdrift.statistics.standing_out import LEAST_TO_STAND_OUT, excess_scores, score_limit

Floats = NDArray[np.float64]

_BULK = 0.8
"""Share of the samples, those that moved least, beside which all are looked at."""
_ROUNDS = 2
_CHANCE_DRAWS = 8
_CHANCE_ROWS = 300
"""Samples in each of these draws. Fewer scatter more, which is on the safe side."""


_ROUNDING = 1e-9
"""A drift up to here may be rounding: kernels are held in float32 where that is good enough for the drift as a whole."""


def least_drift(noise: float | None) -> float:
    """The drift that a place, or a sample of its own, must pass for anything to be said of it. noise: of `noise_of`; None: not known."""
    return max(noise or 0.0, _ROUNDING)


MOST_SAMPLE_ROWS = 20_000
"""Most rows, samples or tokens, of which all pairs are compared."""


@dataclass(frozen=True, eq=False)
class PlaceShares:
    """Samples at one place of one model.

    parts: of n samples. moves: of their pairs with samples that moved least (`bulk_moves`). cosine_change: (n,), or None where widths differ. without: (P, n) shares without each part of the samples, NaN for those left out;
    None where none is left out. stands_out: (n,) booleans.
    noise: the largest drift of a sample of its own that two runs of the base model have; None: not known.
    """

    place: SiteLayer
    parts: RowParts
    moves: RowParts
    cosine_change: Floats | None
    without: Floats | None
    stands_out: NDArray[np.bool_]
    noise: float | None

    @property
    def drift(self) -> float:
        """The drift, of which the shares are parts."""
        return float(self.parts.share.sum())


class SampleSplit(NamedTuple):
    """Says which rows make a sample, and which samples are left out together.

    rows_of_sample: rows of each sample, in order, where a row is a token; None: one each. labels: (n,) the part of each sample, 0 to P - 1, that is
    left out at once; None: none is.
    """

    rows_of_sample: NDArray[np.int64] | None = None
    labels: NDArray[np.int64] | None = None

    def by_row(self) -> NDArray[np.int64] | None:
        """The part of each row."""
        if self.labels is None or self.rows_of_sample is None:
            return self.labels
        return np.repeat(self.labels, self.rows_of_sample)

    def by_sample(self, parts: RowParts) -> RowParts:
        """Adds up the rows of each sample."""
        return parts if self.rows_of_sample is None else parts.by_sample(self.rows_of_sample)


def noise_of(x: Representation, again: Representation, rows_of_sample: NDArray[np.int64] | None = None) -> float:
    """The largest drift of a sample of its own between two runs of one model. Raises DegenerateInputError."""
    parts = SampleSplit(rows_of_sample).by_sample(SampleShares(x, again).parts())
    return float(np.nanmax(parts.own_drift))


def place_shares(
    place: SiteLayer,
    x: Representation,
    y: Representation,
    split: SampleSplit = SampleSplit(),  # noqa: B008 (immutable)
    *,
    noise: float | None = None,
    by_chance: RowParts | None = None,
    tests: int = 1,
) -> PlaceShares:
    """Shares of the drift from x, the base model's, to y, and the samples that stand out.

    x: (rows, p), y: (rows, q). noise: of `noise_of` at this place; no sample stands out that did not move more. by_chance: the `bulk_moves` of
    samples after a random change of the weights; None, or fewer than LEAST_TO_STAND_OUT: of samples that all move at random. tests: places that are
    looked through. A sample stands out if it moved more, beside its weight, than the largest of so many would by chance.
    Raises ShapeError or DegenerateInputError as `SampleShares` does.
    """
    shares = SampleShares(x, y)
    parts = split.by_sample(shares.parts())
    cosine = cosine_changes(x, y)
    labels = split.by_row()
    without = None
    if labels is not None:
        try:
            without = shares.without(labels)
        except DegenerateInputError:
            without = None
        if without is not None and split.rows_of_sample is not None:
            starts = np.concatenate([[0], np.cumsum(split.rows_of_sample)[:-1]]).astype(np.int64)
            without = np.add.reduceat(without, starts, axis=1)
            cosine = None  # of tokens, and no number of samples
    elif split.rows_of_sample is not None:
        cosine = None
    moves, chosen = parts, np.zeros(parts.share.shape, dtype=bool)
    if len(chosen) >= LEAST_TO_STAND_OUT and split.rows_of_sample is None:
        moves, floor = bulk_moves(x, y, parts), least_drift(noise)
        above = moves.own_drift > floor  # false for a sample without a number
        if above.any():
            limit = score_limit(len(chosen), tests=tests, by_chance=_scores_by_chance(x, parts, by_chance))
            chosen = above & (excess_scores(moves.share, moves.base_weight, floor=floor) > limit)
    return PlaceShares(place, parts, moves, cosine, without, chosen, noise)


def bulk_moves(x: Representation, y: Representation, parts: RowParts) -> RowParts:
    """Moves of samples beside the four fifths of them that moved least. parts: their shares. Raises DegenerateInputError."""
    found = parts
    for _ in range(_ROUNDS):
        scores = excess_scores(found.share, found.base_weight, floor=_ROUNDING)
        order = np.argsort(scores, kind="stable")
        bulk = np.zeros(len(scores), dtype=bool)
        bulk[order[: round(_BULK * len(scores))]] = True
        found = moves_beside(x, y, bulk)
    return found


def _scores_by_chance(x: Representation, parts: RowParts, by_chance: RowParts | None) -> list[Floats]:
    if by_chance is not None and len(by_chance.share) >= LEAST_TO_STAND_OUT:
        return [excess_scores(by_chance.share, by_chance.base_weight)]
    drift = float(parts.share.sum())
    found: list[Floats] = []
    for before, after in moved_at_random(x, drift, draws=_CHANCE_DRAWS, rows=_CHANCE_ROWS, seed=0):
        moves = bulk_moves(before, after, SampleShares(before, after).parts())
        found.append(excess_scores(moves.share, moves.base_weight))
    return found
