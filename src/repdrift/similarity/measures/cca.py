"""Mean canonical correlation: what is left of two representations when any linear map of either side is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    PER_FEATURE_SCALING,
    SHARED_ROTATION,
    TRANSLATION,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.canonical import InvertingMeasure, cross, mean_correlation, whitened
from repdrift.similarity.subspaces.principal import Principal, principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class MeanCca(InvertingMeasure):
    """Sum of the canonical correlations / the smaller rank.

    A direction that hardly varies counts as much as any other, even one that only the rounding of stored values spans.
    Raises DegenerateInputError where the ranks of both sides together reach n - 1. Unrelated sides of ranks r and q
    give about sqrt(max(r, q) / n), not 0.
    """

    name = "cca"
    title = "CCA, mean"
    description = "Mean canonical correlation over the smaller rank; blind to any invertible linear map of either side."
    bounds = (0.0, 1.0)
    reference = "Hotelling 1936; Raghu et al. 2017; Kornblith et al. 2019"
    needs_more_samples = True
    invariances = frozenset(
        {ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, PER_FEATURE_SCALING, SHARED_ROTATION}
    )
    cost = "n p min(n, p) to prepare; n r^2 to compare, for ranks r < n / 2"

    def derive(self, representation: Representation) -> Principal:
        """Its components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """Mean canonical correlation of two sides."""
        return mean_correlation(cross(x, y))

    def from_sums(self, result: PairedResult) -> float:
        """From scatter matrices. Raises DegenerateInputError where they do not tell a direction from rounding."""
        return mean_correlation(whitened(result).cross)
