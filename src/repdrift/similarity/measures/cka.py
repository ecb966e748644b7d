"""Debiased linear CKA: about 0 for unrelated representations, whatever the number of features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from repdrift.core.errors import ShapeError
from repdrift.similarity.hsic import Gram, gram, hsic_unbiased, leave_one_out_hsic
from repdrift.similarity.inputs import Representation
from repdrift.similarity.measure import (
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Interval,
    Measure,
    as_index,
    register,
)


@register
class DebiasedLinearCka(Measure):
    """HSIC_u(K, L) / sqrt(HSIC_u(K, K) HSIC_u(L, L)); not clipped, so it can lie slightly below 0."""

    name = "cka"
    title = "CKA, linear, debiased"
    description = "Centred kernel alignment from the unbiased HSIC estimator; the default."
    bounds = (0.0, 1.0)
    reference = "Kornblith et al. 2019; Song et al. 2012; Nguyen et al. 2021; Murphy et al. 2024"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, SHARED_ROTATION})
    cost = "n^2 p to prepare, n^2 to compare"

    def prepare(self, x: Representation) -> Gram:
        """The centred Gram matrix."""
        return gram(x)

    def compare(self, x: Gram, y: Gram) -> float:
        """Debiased CKA of two Gram matrices."""
        # One square root of each factor: the product of two variances of large activations can overflow.
        return hsic_unbiased(x, y) / math.sqrt(x.self_hsic) / math.sqrt(y.self_hsic)

    def interval(self, x: Gram, y: Gram, confidence: float = 0.95) -> Interval | None:
        """Delete-one jackknife (Efron and Stein 1981), on the scale log(1 - CKA), where errors near 1 are symmetric.

        Needs 5 samples. None where the value is 1 to rounding (nothing varies) or a leave-one-out value is undefined.
        """
        if x.n < 5:
            raise ShapeError(f"an interval needs at least 5 samples, got {x.n}")
        value = self.compare(x, y)
        cross, xx, yy = leave_one_out_hsic(x, y), leave_one_out_hsic(x, x), leave_one_out_hsic(y, y)
        if bool((xx <= 0).any()) or bool((yy <= 0).any()):
            return None
        drift = 1 - (cross / xx.sqrt() / yy.sqrt()).cpu().numpy()
        if 1 - value <= 1e-12 or bool((drift <= 0).any()):
            return None
        logs = np.log(drift)
        n = x.n
        error = math.sqrt((n - 1) / n * float(np.square(logs - logs.mean()).sum()))
        reach = float(student_t.ppf(0.5 + confidence / 2, n - 1)) * error
        return Interval(1 - (1 - value) * math.exp(reach), 1 - (1 - value) * math.exp(-reach))

    def mispaired(self, x: Gram, y: Gram, permutations: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """CKA with the samples of y in other orders."""
        device = y.matrix.device
        scale = math.sqrt(x.self_hsic) * math.sqrt(y.self_hsic)
        return np.array([hsic_unbiased(x, y.permuted(as_index(order, device))) / scale for order in permutations])
