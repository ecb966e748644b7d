"""Biased linear CKA, for comparison with the literature: near 1 for noise once features outnumber samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.hsic import Gram, gram, hsic_biased
from repdrift.similarity.inputs import Representation
from repdrift.similarity.measure import (
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Measure,
    as_index,
    register,
)


@register
class BiasedLinearCka(Measure):
    """||Yc'Xc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F), by way of the Gram matrices."""

    name = "cka_biased"
    title = "CKA, linear, biased"
    description = "As first published; grows with features / samples. Values at different n are not comparable."
    bounds = (0.0, 1.0)
    reference = "Kornblith et al. 2019, eq. 4"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, SHARED_ROTATION})
    cost = "n^2 p to prepare, n^2 to compare"

    def prepare(self, x: Representation) -> Gram:
        """The centred Gram matrix."""
        return gram(x)

    def compare(self, x: Gram, y: Gram) -> float:
        """Biased CKA of two Gram matrices."""
        return hsic_biased(x, y) / math.sqrt(hsic_biased(x, x)) / math.sqrt(hsic_biased(y, y))

    def mispaired(self, x: Gram, y: Gram, permutations: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """CKA with the samples of y in other orders."""
        device = y.matrix.device
        return np.array([self.compare(x, y.permuted(as_index(order, device))) for order in permutations])
