"""Biased linear CKA, for comparison with the literature: near 1 for noise once features outnumber samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.inputs import as_orders
from repdrift.similarity.kernels.hsic import Kernel, alike, hsic_biased, hsic_biased_all, side_kernel
from repdrift.similarity.measure import (
    EXACT,
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Measure,
    register,
)
from repdrift.similarity.side import Side

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

    def derive(self, side: Side) -> Kernel:
        """The centred kernel."""
        return side.shared(side_kernel)

    def compare(self, x: Kernel, y: Kernel) -> float:
        """Biased CKA of two kernels."""
        return hsic_biased(x, y) / _scale(x, y)

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
        x, y = alike(x, y)
        orders = as_orders(permutations, y.n, y.device)
        return np.array([hsic_biased(x, y.permuted(order)) / scale for order in orders], dtype=np.float64)


def _scale(x: Kernel, y: Kernel) -> float:
    return math.sqrt(x.self_hsic_biased) * math.sqrt(y.self_hsic_biased)
