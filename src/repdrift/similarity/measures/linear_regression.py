"""Linear regression: how much of one representation a linear map of the other predicts.

`linear_regression` is R^2 within the sample, by least squares; `linear_regression_cv` predicts samples that were left out of
the fit, by ridge regression. Each has a `_reverse` that predicts x from y.
"""

from __future__ import annotations

import math

from torch import Tensor

from repdrift.similarity.arrays import require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import OF_SHAPE
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.subspaces.canonical import (
    WhitenedPair,
    require_predictors_to_spare,
    require_resolved,
    whitened,
)
from repdrift.similarity.subspaces.principal import Principal, principal
from repdrift.similarity.subspaces.ridge import leave_one_out_r2


@register
class LinearRegression(Measure):
    """||Ux'Y||_F^2 / ||Y||_F^2: the share of y's variance that the best linear map of x explains.

    Any invertible linear map of x changes nothing; of y, a rotation. Predictors of rank r explain r / (n - 1) of
    unrelated data: read it beside its mispaired floor, or take the cross-validated form. Raises DegenerateInputError
    if x has rank n - 1.
    """

    name = "linear_regression"
    title = "linear regression, x to y"
    description = (
        "Share of the second side's variance that least squares on the first side explains, within the sample."
    )
    bounds = (0.0, 1.0)
    reference = "Kornblith et al. 2019"
    needs_more_samples = True
    symmetric = False
    streaming = EXACT
    invariances = OF_SHAPE  # of either side
    cost = "n p min(n, p) to prepare; n r q to compare, for ranks r and q < n"

    def derive(self, representation: Representation) -> Principal:
        """Compute its principal components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of y given x."""
        require_paired(x.n, y.n)
        require_predictors_to_spare(x.rank, x.n)
        return _share(x.u.T @ y.u * y.s, y.s)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices.

        Raises DegenerateInputError if they do not tell a direction of x from rounding.
        """
        return _explained(whitened(result))


@register
class LinearRegressionReverse(LinearRegression):
    """||Uy'X||_F^2 / ||X||_F^2: how much of the base the tuned model still holds.

    Raises DegenerateInputError if y has rank n - 1.
    """

    name = "linear_regression_reverse"
    title = "linear regression, y to x"
    description = (
        "Share of the first side's variance that least squares on the second side explains, within the sample."
    )

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of x given y."""
        require_paired(x.n, y.n)  # named in the order in which they were given
        return super().compare(y, x)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices.

        Raises DegenerateInputError if they do not tell a direction of y from rounding.
        """
        return _explained(whitened(result).swapped)


def _explained(pair: WhitenedPair) -> float:
    """R^2 of y given x, from scatter matrices."""
    require_predictors_to_spare(pair.x.rank, pair.n)
    require_resolved(pair.x)
    return float((pair.x.map.T @ pair.xy).square().sum() / pair.y.variance)


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part.square().sum() / whole.square().sum())


@register
class LinearRegressionCv(Measure):
    """1 - PRESS / PRESS of the mean, with the ridge penalty of least generalised cross-validation error.

    Every sample is left out once, in closed form: this is exact and does not depend on the order of samples, as folds do.
    It is defined for any n and p. Unrelated sides give about 0, at times less. A side need not be recovered from
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
    invariances = OF_SHAPE
    cost = "n p min(n, p) to prepare; n r q to compare, for ranks r and q < n"
    held_out = True

    def derive(self, representation: Representation) -> Principal:
        """Compute its principal components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of y given x."""
        return leave_one_out_r2(x, y)


@register
class LinearRegressionCvReverse(LinearRegressionCv):
    """R^2 of x given y: how much of the base the tuned model still holds."""

    name = "linear_regression_cv_reverse"
    title = "linear regression, y to x, cross-validated"
    description = (
        "Leave-one-out R^2 of the first side from the second, by ridge; its penalty by generalised cross-validation."
    )

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of x given y."""
        require_paired(x.n, y.n)  # named in the order in which they were given
        return super().compare(y, x)
