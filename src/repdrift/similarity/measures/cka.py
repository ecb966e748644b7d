"""Centred kernel alignment (CKA): whether samples that are alike on one side are alike on the other.

The debiased form is about 0 for unrelated representations, whatever the number of features. The biased form, as first
published, is near 1 for noise once features outnumber samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.confidence import Interval, upper_level
from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity.arrays import MIN_SAMPLES, as_orders, require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import OF_SHAPE, OF_STANDARDISED_FEATURES
from repdrift.similarity.kernels import hsic
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.kernels.rbf import RbfKernel
from repdrift.similarity.kernels.standardized import standardized_kernel, unbiased_standardized_kernel
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.uncertainty.delete_one import similarity_interval
from repdrift.similarity.uncertainty.resampling import cka_resampled


@dataclass(frozen=True)
class Estimator:
    """An estimator of HSIC, in the forms that CKA needs of it."""

    of_two: Callable[[Kernel, Kernel], float]
    of_all: Callable[[Sequence[Kernel], Sequence[Kernel]], Tensor]
    mispaired: Callable[[Kernel, Kernel, Tensor], Tensor]
    own: Callable[[Kernel], float]
    """HSIC of a kernel with itself."""
    without_one: Callable[[Kernel, Kernel], NDArray[np.float64]]
    """CKA of two kernels without each sample in turn: (n,)."""


class KernelAlignment(Measure):
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of two kernels."""

    bounds = (0.0, 1.0)
    estimator: ClassVar[Estimator]
    kernel_stays: ClassVar[bool] = True
    """True if the kernel of two samples stays as it is when another sample is left out or drawn twice."""

    def compare(self, x: Kernel, y: Kernel) -> float:
        """CKA of two kernels."""
        return self.estimator.of_two(x, y) / self._scale(x, y)

    def compare_all(self, xs: Sequence[Kernel], ys: Sequence[Kernel]) -> NDArray[np.float64]:
        """CKA of every two kernels."""
        if not xs or not ys:
            return np.empty((len(xs), len(ys)))
        scale = [[self._scale(x, y) for y in ys] for x in xs]
        return self.estimator.of_all(xs, ys).cpu().numpy() / np.array(scale)

    def mispaired(self, x: Kernel, y: Kernel, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """CKA with the samples of y in other orders."""
        scale = self._scale(x, y)
        orders = as_orders(permutations, y.n, y.device)
        return self.estimator.mispaired(x, y, orders).cpu().numpy() / scale

    def interval(self, x: Kernel, y: Kernel, confidence: float = 0.95) -> Interval | None:
        """Delete-one jackknife on the scale log(1 - CKA), where errors near 1 are symmetric; back on the value's scale.

        Kernels are taken as known, and the biased form's bias is not part of it: it says how far the value moves with the
        samples. None if it is undefined: for 4 samples, if a side does not vary without one of the samples, or if the two
        sides are equal. If they are equal whichever sample is left out, both ends are the value itself.
        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        upper_level(confidence)  # a wrong confidence is an error where there is no interval too
        try:
            values = self._left_out(x, y)
        except DegenerateInputError:
            return None
        return similarity_interval(self.compare(x, y), values, confidence)

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """CKA without each sample in turn, from the closed form of HSIC; None if the kernel moves with every sample.

        Raises DegenerateInputError for 4 samples, or if a side does not vary without one of the samples.
        """
        return self._left_out(x, y) if self.kernel_stays else None

    def _left_out(self, x: Kernel, y: Kernel) -> NDArray[np.float64]:
        require_paired(x.n, y.n)
        if x.n <= MIN_SAMPLES:
            raise DegenerateInputError(f"at least {MIN_SAMPLES + 1} samples are needed to leave one out, got {x.n}")
        return self.estimator.without_one(x, y)

    def _scale(self, x: Kernel, y: Kernel) -> float:
        return math.sqrt(self.estimator.own(x)) * math.sqrt(self.estimator.own(y))


def _debiased_without_one(x: Kernel, y: Kernel) -> NDArray[np.float64]:
    xx, yy = x.self_hsic_without_one, y.self_hsic_without_one
    still = (xx <= x.rounding) | (yy <= y.rounding)
    if bool(still.any()):
        raise DegenerateInputError(
            f"without sample {int(still.nonzero()[0])} the unbiased variance of a side is not above zero"
        )
    return (hsic.leave_one_out_hsic(x, y) / xx.sqrt() / yy.sqrt()).cpu().numpy()


def _biased_without_one(x: Kernel, y: Kernel) -> NDArray[np.float64]:
    xx, yy = x.self_hsic_biased_without_one, y.self_hsic_biased_without_one
    x_noise, y_noise = (hsic.ROUNDING[side.table.dtype] * side.self_hsic_biased for side in (x, y))
    still = (xx <= x_noise) | (yy <= y_noise)
    if bool(still.any()):
        raise DegenerateInputError(f"without sample {int(still.nonzero()[0])} all rows of a side are equal")
    return (hsic.leave_one_out_hsic_biased(x, y) / xx.sqrt() / yy.sqrt()).cpu().numpy()


DEBIASED = Estimator(
    hsic.hsic_unbiased,
    hsic.hsic_unbiased_all,
    hsic.mispaired_hsic_unbiased,
    lambda kernel: kernel.self_hsic,
    _debiased_without_one,
)
BIASED = Estimator(
    hsic.hsic_biased,
    hsic.hsic_biased_all,
    hsic.mispaired_hsic_biased,
    lambda kernel: kernel.self_hsic_biased,
    _biased_without_one,
)


class DebiasedAlignment(KernelAlignment):
    """CKA from the unbiased estimator of HSIC; not clipped, so that it can lie slightly below 0."""

    estimator = DEBIASED
    debiased = True
    estimate_bounds = (-1.0, 1.0)  # HSIC_u is an inner product of U-centred matrices: Cauchy-Schwarz holds

    def resampled(self, x: Kernel, ys: Sequence[Kernel], weights: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """CKA in resamples, in which pairs of copies count nothing; None if the kernel moves with every resample."""
        return cka_resampled(x, ys, weights) if self.kernel_stays else None


@register
class DebiasedLinearCka(DebiasedAlignment):
    """Debiased CKA of linear kernels: HSIC_u(K, L) / sqrt(HSIC_u(K, K) HSIC_u(L, L))."""

    name = "cka"
    title = "CKA, linear, debiased"
    description = "Centred kernel alignment from the unbiased HSIC estimator; the default."
    reference = "Kornblith et al. 2019; Song et al. 2012; Nguyen et al. 2021; Murphy et al. 2024"
    streaming = EXACT
    single_products = True
    invariances = OF_SHAPE
    cost = "n p min(n, p) to prepare; n^2 to compare where n <= p, else n p q"

    def derive(self, representation: Representation) -> Kernel:
        """Compute the centred kernel."""
        return representation.shared(hsic.unbiased_kernel)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means."""
        return result.cka


@register
class BiasedLinearCka(KernelAlignment):
    """||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F)."""

    name = "cka_biased"
    title = "CKA, linear, biased"
    description = "As first published; grows with features / samples. Values at different n are not comparable."
    reference = "Kornblith et al. 2019, eq. 4"
    estimator = BIASED
    streaming = EXACT
    single_products = True
    invariances = OF_SHAPE
    cost = "n p min(n, p) to prepare; n^2 to compare where n <= p, else n p q"

    def derive(self, representation: Representation) -> Kernel:
        """Compute the centred kernel."""
        return representation.shared(hsic.representation_kernel)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means."""
        return result.cka_biased


@register
class StandardizedCka(DebiasedAlignment):
    """Debiased linear CKA after every feature is scaled to variance 1; features that do not vary carry nothing.

    Every feature counts alike, however large: massive activations do not carry it. The interval takes the variances as
    known (their error is O(1/n)).
    """

    name = "cka_standardized"
    title = "CKA, standardised, debiased"
    description = "Debiased linear CKA of features scaled to variance 1: no single feature carries it."
    reference = "Kornblith et al. 2019; Song et al. 2012, eq. 5; scaling of features: textbook"
    single_products = True
    kernel_stays = False
    invariances = OF_STANDARDISED_FEATURES
    streaming = "needs sums of products of squares, three more p x p tables, which are not taken"
    cost = DebiasedLinearCka.cost

    def derive(self, representation: Representation) -> Kernel:
        """Compute the kernel of the standardised features.

        Raises DegenerateInputError if no feature varies by more than rounding.
        """
        return representation.shared(unbiased_standardized_kernel)


@register
class BiasedStandardizedCka(KernelAlignment):
    """||Corr(Y, X)||_F^2 / (||Corr(X)||_F ||Corr(Y)||_F): biased linear CKA of features scaled to variance 1."""

    name = "cka_standardized_biased"
    title = "CKA, standardised, biased"
    description = "Of features scaled to variance 1; streams, but grows with features / samples as every biased form."
    reference = "Kornblith et al. 2019, eq. 4; scaling of features: textbook"
    estimator = BIASED
    streaming = EXACT
    single_products = True
    kernel_stays = False
    invariances = OF_STANDARDISED_FEATURES
    cost = BiasedLinearCka.cost
    interval = Measure.interval  # none: the closed form takes the variances as known

    def derive(self, representation: Representation) -> Kernel:
        """Compute the kernel of the standardised features.

        Raises DegenerateInputError if no feature varies by more than rounding.
        """
        return representation.shared(standardized_kernel)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means."""
        return result.cka_standardized_biased


@register
class RbfCka(DebiasedAlignment):
    """Debiased CKA with the kernel exp(-|x_i - x_j|^2 / (2 s^2)); each side's s is its median distance times `factor`.

    Who is near whom counts, and distances far beyond the median do not. The median is over pairs of different samples;
    Kornblith et al.'s program counts each sample's distance to itself too, and its s is a little smaller. With a growing
    factor the value goes to that of linear CKA. The interval takes s as known: leaving a sample out does not move it.
    """

    name = "cka_rbf"
    title = "CKA, Gaussian kernel, debiased"
    description = "CKA with a Gaussian kernel as wide as the median distance: neighbours count more than far samples."
    reference = "Kornblith et al. 2019, section 3; Song et al. 2012, eq. 5"
    pairwise = True
    streaming = "needs distances between all rows"
    kernel_stays = False
    invariances = OF_SHAPE
    cost = "n^2 p to prepare, n^2 memory; n^2 to compare"

    def __init__(self, factor: float = 1.0) -> None:
        """factor: width of the kernel in median distances. Raises ConfigError unless it is positive and finite."""
        if not 0 < factor < math.inf:
            raise ConfigError(f"the width of the kernel is a positive number of median distances, got {factor}")
        self._kernel = RbfKernel(float(factor))

    def derive(self, representation: Representation) -> Kernel:
        """Compute the U-centred kernel.

        Raises DegenerateInputError if more than half of the pairs of samples are equal, or all are equally far apart.
        """
        return representation.shared(self._kernel)
