"""Biased linear CKA, for comparison with the literature: near 1 for noise once features outnumber samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.inputs import MIN_SAMPLES, as_orders, require_paired
from repdrift.similarity.kernels.hsic import (
    ROUNDING,
    Kernel,
    hsic_biased,
    hsic_biased_all,
    leave_one_out_hsic_biased,
    mispaired_hsic_biased,
    side_kernel,
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
from repdrift.similarity.uncertainty.sample_intervals import similarity_interval, student_quantile

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class BiasedLinearCka(Measure):
    """||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F)."""

    name = "cka_biased"
    title = "CKA, linear, biased"
    description = "As first published; grows with features / samples. Values at different n are not comparable."
    bounds = (0.0, 1.0)
    reference = "Kornblith et al. 2019, eq. 4"
    streaming = EXACT
    single_products = True
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; n^2 to compare where n <= p, else n p q"

    def derive(self, representation: Representation) -> Kernel:
        """The centred kernel."""
        return representation.shared(side_kernel)

    def compare(self, x: Kernel, y: Kernel) -> float:
        """Biased CKA of two kernels."""
        return hsic_biased(x, y) / _scale(x, y)

    def interval(self, x: Kernel, y: Kernel, confidence: float = 0.95) -> Interval | None:
        """Delete-one jackknife on the scale log(1 - CKA), as of the debiased form; of this estimate at this n.

        It says how far the value moves with the samples, not how far its bias lies from 0. None where it is undefined: of
        4 samples, where without one of the samples all rows of a side are equal, or where the two sides are equal.
        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        student_quantile(x.n, confidence)  # a wrong confidence is an error where there is no interval too
        try:
            left_out = self.without_one(x, y)
        except DegenerateInputError:
            return None
        found = None if left_out is None else similarity_interval(self.compare(x, y), left_out, confidence)
        return found and Interval(*found)

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """From the closed form of HSIC without a sample. Raises DegenerateInputError of 4 samples, or as `Measure.without_one`."""
        return _without_one(x, y)

    def compare_all(self, xs: Sequence[Kernel], ys: Sequence[Kernel]) -> NDArray[np.float64]:
        """CKA of every two kernels."""
        if not xs or not ys:
            return np.empty((len(xs), len(ys)))
        scale = [[_scale(x, y) for y in ys] for x in xs]
        return hsic_biased_all(xs, ys).cpu().numpy() / np.array(scale)

    def from_moments(self, result: PairedResult) -> float:
        """From sums about the means."""
        return result.cka_biased

    def mispaired(self, x: Kernel, y: Kernel, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """CKA with the samples of y in other orders."""
        scale = _scale(x, y)
        orders = as_orders(permutations, y.n, y.device)
        return mispaired_hsic_biased(x, y, orders).cpu().numpy() / scale


def _without_one(x: Kernel, y: Kernel) -> NDArray[np.float64]:
    require_paired(x.n, y.n)
    if x.n <= MIN_SAMPLES:
        raise DegenerateInputError(f"at least {MIN_SAMPLES + 1} samples are needed to leave one out, got {x.n}")
    xx, yy = x.self_hsic_biased_without_one, y.self_hsic_biased_without_one
    still = (xx <= ROUNDING[x.table.dtype] * x.self_hsic_biased) | (yy <= ROUNDING[y.table.dtype] * y.self_hsic_biased)
    if bool(still.any()):
        raise DegenerateInputError(f"without sample {int(still.nonzero()[0])} all rows of a side are equal")
    return (leave_one_out_hsic_biased(x, y) / xx.sqrt() / yy.sqrt()).cpu().numpy()


def _scale(x: Kernel, y: Kernel) -> float:
    return math.sqrt(x.self_hsic_biased) * math.sqrt(y.self_hsic_biased)
