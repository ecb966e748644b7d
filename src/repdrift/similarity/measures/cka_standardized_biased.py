"""Biased linear CKA of standardised features: the form that streams. Its bias is about features / samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.kernels.standardized import standardized_kernel
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    PER_FEATURE_SCALING,
    TRANSLATION,
    Measure,
    register,
)
from repdrift.similarity.measures.cka_biased import BiasedLinearCka
from repdrift.similarity.representation import Representation

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class BiasedStandardizedCka(BiasedLinearCka):
    """||Corr(Y, X)||_F^2 / (||Corr(X)||_F ||Corr(Y)||_F): biased linear CKA of features scaled to variance 1."""

    name = "cka_standardized_biased"
    title = "CKA, standardised, biased"
    description = "Of features scaled to variance 1; streams, but grows with features / samples as every biased form."
    reference = "Kornblith et al. 2019, eq. 4; scaling of features: textbook"
    invariances = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, PER_FEATURE_SCALING})

    def derive(self, representation: Representation) -> Kernel:
        """The kernel of the standardised features. Raises DegenerateInputError if none varies by more than rounding."""
        return representation.shared(standardized_kernel)

    interval = Measure.interval  # none: the closed form takes the variances as known

    def without_one(self, x: Kernel, y: Kernel) -> NDArray[np.float64] | None:
        """None: the variances move with every sample."""
        del x, y
        return None

    def from_moments(self, result: PairedResult) -> float:
        """From sums about the means."""
        return result.cka_standardized_biased
