"""Numbers that follow from streamed sums. Each is computed, or refused, when it is asked for.

About the means sum u = sum v = 0, and the terms of the unbiased HSIC shrink to
tr(KL) = ||U'V||_F^2 - sum ab,  1'K1 = -sum a,  1'KL1 = sum ab.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.streaming.moments import CrossMoments, SideMoments, shifted_cross, shifted_side
from repdrift.similarity.streaming.symmetric import dense, frobenius_squared

_ROUNDING = {torch.float32: 1e-7, torch.float64: 1e-12}
"""An HSIC is a difference of terms; below this share of them it is rounding noise. By the type of the products."""

_CONSTANT = 1e-13
"""A standard deviation below this share of the values is what rounding leaves of equal values."""


@dataclass(frozen=True)
class Variation:
    """Variation of one representation over its samples."""

    top_share: float
    """Share of the variance that the most variable feature holds, 0 to 1."""
    top_feature: int
    """Index of that feature."""
    participation_ratio: float
    """(sum of eigenvalues)^2 / sum of squared eigenvalues of the covariance: 1 to p dimensions that vary."""
    largest_activation: float
    """Largest |x|."""


@dataclass(frozen=True, eq=False)
class Scatter:
    """Sums over n samples of products of centred features, in float64; divided by n they are covariances.

    Sums of float32 products carry noise of about 1e-7 of their size. A measure that inverts them should be given sums of
    float64 products.
    """

    n: int
    xx: Tensor
    """(p, p) Xc'Xc of the base."""
    xy: Tensor
    """(p, p) Xc'Yc of base and tuned model."""
    yy: Tensor
    """(p, p) Yc'Yc of the tuned model."""
    rounding: float
    """Share of the largest eigenvalue that rounding of the products can reach."""


@dataclass(frozen=True, eq=False)
class PairedResult:
    """Base against one tuned model over n samples."""

    n: int
    _base: SideMoments
    _tuned: SideMoments
    _cross: CrossMoments
    _rounding: float

    @cached_property
    def scatter(self) -> Scatter:
        """Scatter matrices about the means, of base (x) and tuned model (y). Raises DegenerateInputError if rows are equal."""
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
        """Debiased linear CKA, not clipped. Raises DegenerateInputError if a model's rows do not vary enough.

        Source: Song et al. 2012, eq. 5, in moments.
        """
        xx, yy = (self._self_hsic(side, name) for side, name in ((self._base, "base"), (self._tuned, "tuned model")))
        norm = self._cross.product.square().sum()
        lengths = self._base.lengths * self._tuned.lengths
        xy = _unbiased(float(norm), float(self._cross.lengths_product), float(lengths), self.n)
        return xy / math.sqrt(xx) / math.sqrt(yy)

    @property
    def cka_biased(self) -> float:
        """||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F); grows with p / n. Raises DegenerateInputError if rows are equal."""
        ones = torch.ones_like(self._base.shift)
        return self._biased(ones, ones)

    @property
    def cka_standardized_biased(self) -> float:
        """Biased CKA after every feature is scaled to variance 1; features that do not vary carry nothing.

        The debiased form is not here. It needs sums of products of squares over rows, which are three more p x p
        products; compute it from rows. The bias is about p / n. Raises DegenerateInputError if rows are equal.
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
    def base(self) -> Variation:
        """Variation of the base. Raises DegenerateInputError if its rows are equal."""
        return _variation(self._base, "base")

    @property
    def tuned(self) -> Variation:
        """Variation of the tuned model. Raises DegenerateInputError if its rows are equal."""
        return _variation(self._tuned, "tuned model")

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


def paired_result(
    base: SideMoments, tuned: SideMoments, cross: CrossMoments, product_dtype: torch.dtype
) -> PairedResult:  # fmt: skip
    """Move sums of at least 4 rows, about any shifts, to the means: the result that they give."""
    base_mean, tuned_mean = base.shift + base.total / base.n, tuned.shift + tuned.total / tuned.n
    return PairedResult(
        n=base.n,
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


def _variation(side: SideMoments, name: str) -> Variation:
    _require_variation(side, name)
    variances = _variances(side)
    total, top = variances.sum(), int(variances.argmax())
    norm = frobenius_squared(side.gram, torch.ones_like(variances)) / side.n**2
    return Variation(
        top_share=float(variances[top] / total),
        top_feature=top,
        participation_ratio=float(total.square() / norm),
        largest_activation=float(side.largest),
    )
