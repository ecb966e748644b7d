"""Overlap of the subspaces that two representations span: which linear models they can express."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

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
from repdrift.similarity.subspaces.canonical import InvertingMeasure, cross, whitened
from repdrift.similarity.subspaces.principal import Principal, principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class EigenspaceOverlap(InvertingMeasure):
    """||Ux'Uy||_F^2 / max(rank x, rank y): the sum of squared canonical correlations over the larger rank.

    A departure from the paper: columns are centred. Raw ones share the mean vector of all samples, a direction whose
    overlap says nothing; a linear model with an intercept does not see it. Two sides of unequal rank stay below 1.
    Raises DegenerateInputError where the ranks of both sides together reach n - 1. Unrelated sides of ranks r and q
    give about min(r, q) / n, not 0.
    """

    name = "eigenspace_overlap"
    title = "eigenspace overlap"
    description = (
        "Overlap of the spaces that the centred features span, over the larger rank; blind to invertible linear maps."
    )
    bounds = (0.0, 1.0)
    reference = "May et al. 2019"
    needs_more_samples = True
    invariances = frozenset(
        {ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, PER_FEATURE_SCALING, SHARED_ROTATION}
    )
    cost = "n p min(n, p) to prepare; n r^2 to compare, for ranks r < n / 2"

    def derive(self, representation: Representation) -> Principal:
        """Its components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """Overlap of two spans."""
        return _overlap(cross(x, y))

    def from_sums(self, result: PairedResult) -> float:
        """From scatter matrices. Raises DegenerateInputError where they do not tell a direction from rounding."""
        return _overlap(whitened(result).cross)


def _overlap(cross: Tensor) -> float:
    return float(cross.square().sum()) / max(cross.shape)
