"""The numbers that follow from moments. Each is computed, or refused, when it is asked for.

About the means sum u = sum v = 0, and the terms of the unbiased HSIC shrink to
tr(KL) = ||U'V||_F^2 - sum ab,  1'K1 = -sum a,  1'KL1 = sum ab.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.measure import EXACT, measure
from repdrift.similarity.scatter import Scatter
from repdrift.similarity.streaming.moments import CrossMoments, SideMoments, shifted_cross, shifted_side
from repdrift.similarity.streaming.symmetric import dense, frobenius_squared

_ROUNDING = {torch.float32: 1e-7, torch.float64: 1e-12}
"""An HSIC below this share of the terms that it is the difference of is rounding noise; by the type of the products."""

_CONSTANT = 1e-13
"""A standard deviation below this share of the values is what is left of equal values."""


@dataclass(frozen=True)
class Spread:
    """How one representation varies over its samples."""

    top_share: float
    """Share of the variance that the most variable feature holds, 0 to 1."""
    top_feature: int
    """Which one."""
    participation_ratio: float
    """(sum of eigenvalues)^2 / sum of squared eigenvalues of the covariance: 1 to p dimensions that vary."""
    largest_activation: float
    """Largest |x|."""


@dataclass(frozen=True, eq=False)
class PairedResult:
    """Base against one tuned model over n samples."""

    n: int
    rows: tuple[Tensor, Tensor] | None
    """Base and tuned rows (n, p) where the accumulator still held them, for measures that moments do not give."""
    numbers: Tensor | None
    """The rows' numbers (n,), ascending, where they were given and rows are held."""
    _base: SideMoments
    _tuned: SideMoments
    _cross: CrossMoments
    _rounding: float

    def measure(self, name: str) -> float:
        """Any registered measure: from the sums where it streams, else from the rows where they are still held.

        Raises UnknownNameError; DataError, saying why, where neither gives it; DegenerateInputError where it is undefined.
        """
        found = measure(name)
        if found.streaming != EXACT and self.rows is not None:
            return found(*self.rows)
        return found.from_moments(self)

    @cached_property
    def scatter(self) -> Scatter:
        """Scatter matrices about the means, of base (x) and tuned model (y). Raises DegenerateInputError for constant rows."""
        for side, name in ((self._base, "base"), (self._tuned, "tuned model")):
            _require_variation(side, name)
        p = self._base.shift.shape[0]
        return Scatter(
            self.n, dense(self._base.gram, p), self._cross.product, dense(self._tuned.gram, p), self._rounding
        )

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Mean rows (p,) of base and tuned model."""
        return self._base.shift, self._tuned.shift

    @property
    def raw_squares(self) -> tuple[float, float]:
        """||X||_F^2 and ||Y||_F^2 of raw rows."""
        return float(self._base.raw_squares), float(self._tuned.raw_squares)

    @property
    def cka(self) -> float:
        """Debiased linear CKA, not clipped. Raises DegenerateInputError where a side does not vary enough.

        Source: Song et al. 2012, eq. 5, in moments.
        """
        xx, yy = (self._self_hsic(side, name) for side, name in ((self._base, "base"), (self._tuned, "tuned model")))
        norm = self._cross.product.square().sum()
        lengths = self._base.lengths * self._tuned.lengths
        xy = _unbiased(float(norm), float(self._cross.lengths_product), float(lengths), self.n)
        return xy / math.sqrt(xx) / math.sqrt(yy)

    @property
    def cka_biased(self) -> float:
        """||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F); grows with p / n. Raises DegenerateInputError for constant rows."""
        ones = torch.ones_like(self._base.shift)
        return self._biased(ones, ones)

    @property
    def cka_standardized_biased(self) -> float:
        """Biased CKA after every feature is scaled to variance 1; features that do not vary carry nothing.

        Its debiased form needs sums of products of squares over rows, three more p x p products, which are not taken:
        it can be had from rows only. The bias is about p / n. Raises DegenerateInputError for constant rows.
        """
        return self._biased(_inverse_deviation(self._base), _inverse_deviation(self._tuned))

    @property
    def cosine(self) -> float:
        """Mean over samples of the raw cosine. Raises DegenerateInputError if a row is a vector of zeros."""
        for side, name in ((self._base, "base"), (self._tuned, "tuned model")):
            if side.zero_rows > 0:
                raise DegenerateInputError(
                    f"{name}: {int(side.zero_rows)} of {self.n} samples are a vector of zeros: their cosine is undefined"
                )
        return float(self._cross.cosines) / self.n

    @property
    def relative_change(self) -> float:
        """||Y - X||_F / ||X||_F of raw rows. Raises DegenerateInputError if the base is all zero."""
        if self._base.raw_squares == 0:
            raise DegenerateInputError("base: all numbers are zero: a change relative to them is undefined")
        return math.sqrt(float(self._cross.change)) / math.sqrt(float(self._base.raw_squares))

    @property
    def base(self) -> Spread:
        """Variances of the base. Raises DegenerateInputError for constant rows."""
        return _spread(self._base, "base")

    @property
    def tuned(self) -> Spread:
        """Variances of the tuned model. Raises DegenerateInputError for constant rows."""
        return _spread(self._tuned, "tuned model")

    def with_rows(self, rows: tuple[Tensor, Tensor], numbers: Tensor | None) -> PairedResult:
        """The same, with the rows that it is of."""
        return replace(self, rows=rows, numbers=numbers)

    def _self_hsic(self, side: SideMoments, name: str) -> float:
        _require_variation(side, name)
        norm = float(frobenius_squared(side.gram, torch.ones_like(side.shift)))
        squared = float(side.lengths_squared)
        value = _unbiased(norm, squared, float(side.lengths) ** 2, self.n)
        if value <= self._rounding * (norm + squared) / (self.n * (self.n - 3)):
            raise DegenerateInputError(
                f"{name}: the unbiased variance of the representation is not above zero: too few distinct samples"
            )
        return value

    def _biased(self, x_weights: Tensor, y_weights: Tensor) -> float:
        for side, name in ((self._base, "base"), (self._tuned, "tuned model")):
            _require_variation(side, name)
        xy = (self._cross.product * x_weights[:, None] * y_weights).square().sum()
        xx, yy = frobenius_squared(self._base.gram, x_weights), frobenius_squared(self._tuned.gram, y_weights)
        return float(xy / xx.sqrt() / yy.sqrt())


def result_of(
    base: SideMoments, tuned: SideMoments, cross: CrossMoments, product_dtype: torch.dtype
) -> PairedResult:  # fmt: skip
    """The result of sums about any shifts, for at least 4 rows."""
    base_mean, tuned_mean = base.shift + base.total / base.n, tuned.shift + tuned.total / tuned.n
    return PairedResult(
        n=base.n,
        rows=None,
        numbers=None,
        _base=shifted_side(base, base_mean),
        _tuned=shifted_side(tuned, tuned_mean),
        _cross=shifted_cross(cross, base, tuned, base_mean, tuned_mean),
        _rounding=_ROUNDING[product_dtype],
    )


def _unbiased(norm: float, lengths_product: float, lengths: float, n: int) -> float:
    """HSIC_u from ||U'V||_F^2, sum ab and (sum a)(sum b), about the means."""
    trace = norm - lengths_product
    return (trace + lengths / ((n - 1) * (n - 2)) - 2 / (n - 2) * lengths_product) / (n * (n - 3))


def _variances(side: SideMoments) -> Tensor:
    """(p,) variances (divided by n) about the mean, exactly 0 where all that is left is rounding."""
    variances = side.squares / side.n
    return torch.where(variances > (_CONSTANT * side.shift).square(), variances, torch.zeros_like(variances))


def _inverse_deviation(side: SideMoments) -> Tensor:
    variances = _variances(side)
    return torch.where(variances > 0, variances.rsqrt(), torch.zeros_like(variances))


def _require_variation(side: SideMoments, name: str) -> None:
    if not bool((_variances(side) > 0).any()):
        raise DegenerateInputError(
            f"{name}: all {side.n} samples have the same representation: similarity is undefined"
        )


def _spread(side: SideMoments, name: str) -> Spread:
    _require_variation(side, name)
    variances = _variances(side)
    total, top = variances.sum(), int(variances.argmax())
    norm = frobenius_squared(side.gram, torch.ones_like(variances)) / side.n**2
    return Spread(
        top_share=float(variances[top] / total),
        top_feature=top,
        participation_ratio=float(total.square() / norm),
        largest_activation=float(side.largest),
    )
