"""R^2 of predicting y from x by least squares, within the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.canonical import (
    InvertingMeasure,
    WhitenedPair,
    require_predictors_to_spare,
    require_resolved,
    whitened,
)
from repdrift.similarity.subspaces.principal import Principal, principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class LinearRegression(InvertingMeasure):
    """||Ux'Y||_F^2 / ||Y||_F^2: the share of y's variance that the best linear map of x explains.

    Any invertible linear map of x changes nothing; of y, a rotation. Predictors of rank r explain r / (n - 1) of
    unrelated data: read it beside its mispaired floor, or take the cross-validated form. Raises DegenerateInputError
    where x has rank n - 1.
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
    # Of either side.
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; n r q to compare, for ranks r and q < n"

    def derive(self, representation: Representation) -> Principal:
        """Its components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of y given x."""
        require_paired(x.n, y.n)
        require_predictors_to_spare(x.rank, x.n)
        return _share(x.u.T @ y.u * y.s, y.s)

    def from_sums(self, result: PairedResult) -> float:
        """From scatter matrices. Raises DegenerateInputError where they do not tell a direction of x from rounding."""
        return explained(whitened(result))


def explained(pair: WhitenedPair) -> float:
    """R^2 of y given x, from scatter matrices."""
    require_predictors_to_spare(pair.x.rank, pair.n)
    require_resolved(pair.x)
    return float((pair.x.map.T @ pair.xy).square().sum() / pair.y.variance)


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part.square().sum() / whole.square().sum())
