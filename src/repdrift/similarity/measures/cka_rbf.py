"""Debiased CKA with a Gaussian kernel: who is near whom counts, and distances far beyond the median do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.kernels.rbf import RbfKernel
from repdrift.similarity.measure import Measure, register
from repdrift.similarity.measures.cka import DebiasedLinearCka
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class RbfCka(DebiasedLinearCka):
    """Debiased CKA with the kernel exp(-|x_i - x_j|^2 / (2 s^2)); each side's s is its median distance times `factor`.

    The median is over pairs of different samples; Kornblith et al.'s program counts each sample's distance to itself
    too, and its s is a little smaller. With a growing factor the value goes to that of linear CKA. The interval takes s
    as known: leaving a sample out does not move it.
    """

    name = "cka_rbf"
    title = "CKA, Gaussian kernel, debiased"
    description = "CKA with a Gaussian kernel as wide as the median distance: neighbours count more than far samples."
    reference = "Kornblith et al. 2019, section 3; Song et al. 2012, eq. 5"
    streaming = "needs distances between all rows"
    single_products = False
    cost = "n^2 p to prepare, n^2 memory; n^2 to compare"

    def __init__(self, factor: float = 1.0) -> None:
        """`factor`: width of the kernel in median distances. Raises ConfigError unless it is positive and finite."""
        if not 0 < factor < math.inf:
            raise ConfigError(f"the width of the kernel is a positive number of median distances, got {factor}")
        self._kernel = RbfKernel(float(factor))

    def derive(self, representation: Representation) -> Kernel:
        """The U-centred kernel.

        Raises DegenerateInputError if more than half of the pairs of samples are equal, or all are equally far apart.
        """
        return representation.shared(self._kernel)

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """None: the median distance moves with every sample."""
        del x, y
        return None

    def resampled(self, x: Kernel, ys: Sequence[Kernel], weights: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """None: the median distance moves with every resample."""
        del x, ys, weights
        return None

    def from_moments(self, result: PairedResult) -> float:
        """Raises DataError: not to be had from sums."""
        return Measure.from_moments(self, result)
