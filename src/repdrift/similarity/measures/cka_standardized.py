"""Debiased linear CKA in which every feature counts alike, however large: massive activations do not carry it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.kernels.standardized import unbiased_standardized_kernel
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    PER_FEATURE_SCALING,
    TRANSLATION,
    Measure,
    register,
)
from repdrift.similarity.measures.cka import DebiasedLinearCka
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class StandardizedCka(DebiasedLinearCka):
    """Debiased linear CKA after every feature is scaled to variance 1; features that do not vary carry nothing.

    The interval takes the variances as known (their error is O(1/n)).
    """

    name = "cka_standardized"
    title = "CKA, standardised, debiased"
    description = "Debiased linear CKA of features scaled to variance 1: no single feature carries it."
    reference = "Kornblith et al. 2019; Song et al. 2012, eq. 5; scaling of features: textbook"
    invariances = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, PER_FEATURE_SCALING})
    streaming = "needs sums of products of squares, three more p x p tables, which are not taken"

    def derive(self, representation: Representation) -> Kernel:
        """The kernel of the standardised features. Raises DegenerateInputError if none varies by more than rounding."""
        return representation.shared(unbiased_standardized_kernel)

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """None: the variances move with every sample."""
        del x, y
        return None

    def resampled(self, x: Kernel, ys: Sequence[Kernel], weights: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """None: the variances move with every resample."""
        del x, ys, weights
        return None

    def from_moments(self, result: PairedResult) -> float:
        """Raises DataError: not to be had from sums."""
        return Measure.from_moments(self, result)
