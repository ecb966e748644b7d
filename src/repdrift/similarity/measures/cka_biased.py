"""Biased linear CKA, for comparison with the literature: near 1 for noise once features outnumber samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.hsic import Kernel, alike, hsic_biased, linear_kernel
from repdrift.similarity.inputs import Representation, as_float64, as_orders, centred, in_range
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Measure,
    register,
)


@register
class BiasedLinearCka(Measure):
    """||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F)."""

    name = "cka_biased"
    title = "CKA, linear, biased"
    description = "As first published; grows with features / samples. Values at different n are not comparable."
    bounds = (0.0, 1.0)
    reference = "Kornblith et al. 2019, eq. 4"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; n^2 to compare where n <= p, else n p q"

    def prepare(self, x: Representation) -> Kernel:
        """The centred kernel."""
        return linear_kernel(centred(in_range(as_float64(x))))

    def compare(self, x: Kernel, y: Kernel) -> float:
        """Biased CKA of two kernels."""
        return hsic_biased(x, y) / _scale(x, y)

    def mispaired(self, x: Kernel, y: Kernel, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """CKA with the samples of y in other orders."""
        scale = _scale(x, y)
        x, y = alike(x, y)
        orders = as_orders(permutations, y.n, y.diagonal.device)
        return np.array([hsic_biased(x, y.permuted(order)) / scale for order in orders], dtype=np.float64)


def _scale(x: Kernel, y: Kernel) -> float:
    return math.sqrt(x.self_hsic_biased) * math.sqrt(y.self_hsic_biased)
