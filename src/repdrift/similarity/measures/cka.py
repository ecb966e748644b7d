"""Debiased linear CKA: about 0 for unrelated representations, whatever the number of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.inputs import MIN_SAMPLES, as_orders, require_paired
from repdrift.similarity.kernels.hsic import (
    Kernel,
    hsic_unbiased,
    hsic_unbiased_all,
    leave_one_out_hsic,
    mispaired_hsic_unbiased,
    unbiased_kernel,
)
from repdrift.similarity.measure import (
    EXACT,
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Interval,
    Measure,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.resampling import cka_resampled
from repdrift.similarity.uncertainty.sample_intervals import similarity_interval, student_quantile

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class DebiasedLinearCka(Measure):
    """HSIC_u(K, L) / sqrt(HSIC_u(K, K) HSIC_u(L, L)); not clipped, so it can lie slightly below 0."""

    name = "cka"
    title = "CKA, linear, debiased"
    description = "Centred kernel alignment from the unbiased HSIC estimator; the default."
    bounds = (0.0, 1.0)
    estimate_bounds = (-1.0, 1.0)  # HSIC_u is an inner product of U-centred matrices: Cauchy-Schwarz holds
    reference = "Kornblith et al. 2019; Song et al. 2012; Nguyen et al. 2021; Murphy et al. 2024"
    streaming = EXACT
    single_products = True
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; n^2 to compare where n <= p, else n p q"

    def derive(self, representation: Representation) -> Kernel:
        """The centred kernel."""
        return representation.shared(unbiased_kernel)

    def compare(self, x: Kernel, y: Kernel) -> float:
        """Debiased CKA of two kernels."""
        return hsic_unbiased(x, y) / _scale(x, y)

    def interval(self, x: Kernel, y: Kernel, confidence: float = 0.95) -> Interval | None:
        """Delete-one jackknife on the scale log(1 - CKA), where errors near 1 are symmetric; back on the value's scale.

        None where it is undefined: of 4 samples, where without one of the samples a side no longer varies, or where the
        two sides are equal. The value itself, twice, where the sides are equal whichever sample is left out.
        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        student_quantile(x.n, confidence)  # a wrong confidence is an error where there is no interval too
        try:
            left_out = _without_one(x, y)
        except DegenerateInputError:
            return None
        found = similarity_interval(self.compare(x, y), left_out, confidence)
        return found and Interval(*found)

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """From the closed form of HSIC_u without a sample. Raises DegenerateInputError of 4 samples, or as `Measure.without_one`."""
        return _without_one(x, y)

    def resampled(self, x: Kernel, ys: Sequence[Kernel], weights: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """As weighted sums in which pairs of copies count nothing (`repdrift.similarity.uncertainty.resampling`)."""
        return cka_resampled(x, ys, weights)

    def compare_all(self, xs: Sequence[Kernel], ys: Sequence[Kernel]) -> NDArray[np.float64]:
        """CKA of every two kernels."""
        if not xs or not ys:
            return np.empty((len(xs), len(ys)))
        scale = [[_scale(x, y) for y in ys] for x in xs]
        return hsic_unbiased_all(xs, ys).cpu().numpy() / np.array(scale)

    def from_moments(self, result: PairedResult) -> float:
        """From sums about the means."""
        return result.cka

    def mispaired(self, x: Kernel, y: Kernel, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """CKA with the samples of y in other orders."""
        scale = _scale(x, y)
        orders = as_orders(permutations, y.n, y.device)
        return mispaired_hsic_unbiased(x, y, orders).cpu().numpy() / scale


def _without_one(x: Kernel, y: Kernel) -> NDArray[np.float64]:
    require_paired(x.n, y.n)
    if x.n <= MIN_SAMPLES:
        raise DegenerateInputError(f"at least {MIN_SAMPLES + 1} samples are needed to leave one out, got {x.n}")
    xx, yy = x.self_hsic_without_one, y.self_hsic_without_one
    still = (xx <= x.rounding) | (yy <= y.rounding)
    if bool(still.any()):
        raise DegenerateInputError(
            f"without sample {int(still.nonzero()[0])} the unbiased variance of a side is not above zero"
        )
    return (leave_one_out_hsic(x, y) / xx.sqrt() / yy.sqrt()).cpu().numpy()


def _scale(x: Kernel, y: Kernel) -> float:
    return math.sqrt(x.self_hsic) * math.sqrt(y.self_hsic)
