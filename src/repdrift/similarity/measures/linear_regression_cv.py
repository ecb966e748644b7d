"""R^2 of predicting y from x by ridge regression, of samples left out of the fit."""

from __future__ import annotations

import math
from typing import ClassVar

from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Measure,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.principal import Principal, principal
from repdrift.similarity.subspaces.ridge import leave_one_out_r2


@register
class LinearRegressionCv(Measure):
    """1 - PRESS / PRESS of the mean, with the ridge penalty of least generalised cross-validation error.

    Every sample is left out once, in closed form: exact, and of no order of samples, where folds depend on positions.
    It is defined for any n and p. About 0 for unrelated sides, at times below. A side need not be recovered from
    itself: with n - 1 features or more, a sample that is left out lies partly outside the span of the others, and even
    the value of x with x is below 1. Read it beside that one.
    """

    name = "linear_regression_cv"
    title = "linear regression, x to y, cross-validated"
    description = (
        "Leave-one-out R^2 of the second side from the first, by ridge; its penalty by generalised cross-validation."
    )
    bounds = (0.0, 1.0)
    estimate_bounds = (-math.inf, 1.0)
    reference = "Allen 1974 (leave-one-out); Golub, Heath and Wahba 1979 (penalty)"
    streaming = "leaves out each sample in turn, which takes its row"
    symmetric = False
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; n r q to compare, for ranks r and q < n"
    held_out: ClassVar[bool] = True
    """Of samples left out of the fit: a side has its self value with itself only with fewer features than n - 1."""

    def derive(self, representation: Representation) -> Principal:
        """Its components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of y given x."""
        return leave_one_out_r2(x, y)
