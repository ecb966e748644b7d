"""Shares of the drift by sample, layer by layer, and the samples whose share stands out from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import Representation
from repdrift.similarity.kernels.random_moves import shares_of_random_moves
from repdrift.similarity.kernels.sample_shares import RowParts, SampleShares, cosine_changes
from repdrift.statistics.standing_out import LEAST_TO_STAND_OUT, excess_scores, score_limit

Floats = NDArray[np.float64]

_CHANCE_DRAWS = 20
"""Draws of moves by chance: with 19 or more, the largest score of all is passed by chance in about 5 % of cases."""
_CHANCE_ROWS = 300
"""Samples in each of these draws. Fewer scatter more, which is on the safe side."""


class Place(NamedTuple):
    """A site inside the model and its layer."""

    site: str
    layer: int


@dataclass(frozen=True, eq=False)
class PlaceShares:
    """Samples at one place of one model.

    parts: of n samples. cosine_change: (n,), or None where widths differ. without: (P, n) shares without each part of the samples, NaN for those left out;
    None where none is left out. scores: (n,), how far each share lies above those of samples of its weight. stands_out: (n,) booleans.
    noise: the largest drift of a sample of its own that two runs of the base model have; None: not known.
    """

    place: Place
    parts: RowParts
    cosine_change: Floats | None
    without: Floats | None
    scores: Floats
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
    place: Place,
    x: Representation,
    y: Representation,
    split: SampleSplit = SampleSplit(),  # noqa: B008 (immutable)
    *,
    noise: float | None = None,
    tests: int = 1,
    seed: int = 0,
) -> PlaceShares:
    """Shares of the drift from x, the base model's, to y, and the samples that stand out.

    x: (rows, p), y: (rows, q). noise: of `noise_of` at this place; no sample stands out whose own drift is not above it. tests: places that are
    looked through. A sample stands out if its share is larger, beside its weight, than the spread of all samples lets expect of the largest, and than
    that of any sample has been where all moved by chance; and only if it still does when those that stand out further are left out.
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
    scores = excess_scores(parts.share, parts.base_weight)
    above = _above_noise(parts, noise)
    chosen = np.zeros(scores.shape, dtype=bool)
    if len(scores) >= LEAST_TO_STAND_OUT and above.any() and split.rows_of_sample is None:
        limit = score_limit(len(scores), tests=tests, by_chance=_by_chance(x, parts, seed))
        leading = np.argsort(-scores, kind="stable")[: int((above & (scores > limit)).sum())]
        leading = leading[above[leading] & (scores[leading] > limit)]
        chosen[_fewest_leading(x, y, leading, limit)] = True
    return PlaceShares(place, parts, cosine, without, scores, chosen, noise)


def _above_noise(parts: RowParts, noise: float | None) -> NDArray[np.bool_]:
    own = np.nan_to_num(parts.own_drift)
    return own > max(noise or 0.0, _ROUNDING)


_ROUNDING = 1e-9
"""A sample's own drift up to here may be rounding: kernels are held in float32 where that is good enough for the drift as a whole."""


def _by_chance(x: Representation, parts: RowParts, seed: int) -> list[Floats]:
    draws = shares_of_random_moves(x, float(parts.share.sum()), draws=_CHANCE_DRAWS, rows=_CHANCE_ROWS, seed=seed)
    return [excess_scores(drawn.share, drawn.base_weight) for drawn in draws]


def _fewest_leading(x: Representation, y: Representation, leading: NDArray[np.intp], limit: float) -> NDArray[np.intp]:
    """The fewest of the leading samples without which no other one stands out; all of them if there is always one.

    A sample whose pairs with many that moved have changed stands out too, though it stayed where it was.
    """
    low, high = 1, len(leading)
    while low < high:
        middle = (low + high) // 2
        if _rest_stands_out(x, y, leading[:middle], limit):
            low = middle + 1
        else:
            high = middle
    return leading[:high]


def _rest_stands_out(x: Representation, y: Representation, out: NDArray[np.intp], limit: float) -> bool:
    kept = np.setdiff1d(np.arange(x.n), out)
    if len(kept) < LEAST_TO_STAND_OUT:
        return False
    rest = SampleShares(Representation(x.given[kept]), Representation(y.given[kept])).parts()
    return bool((excess_scores(rest.share, rest.base_weight) > limit).any())
