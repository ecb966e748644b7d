"""Canonical correlations weighted by how much of x lies along each: noise directions count little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    TRANSLATION,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.canonical import InvertingMeasure, cross, whitened
from repdrift.similarity.subspaces.principal import Principal, principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@dataclass(frozen=True, eq=False)
class Loaded:
    """Components of a side, and their products with its centred features: (r, p)."""

    components: Principal
    loadings: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return self.components.n

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.components.device

    def permuted(self, order: Tensor) -> Loaded:
        """The same with its samples in another order."""
        return Loaded(self.components.permuted(order), self.loadings)


@register
class ProjectionWeightedCca(InvertingMeasure):
    """sum a_i rho_i / sum a_i with a_i = sum_j |<h_i, x_j>|.

    h_i are the canonical variates of x, of length 1, and x_j its centred features.
    The weights are those of the first side, the base, as in the paper. (The code published with it takes them from the
    side with fewer features, and from the first if both have as many; others take the mean of both directions.) A sum
    of absolute values over features is no rotation's invariant: turning x changes the value, turning y does not.
    Raises DegenerateInputError where the ranks of both sides together reach n - 1.
    """

    name = "pwcca"
    title = "CCA, projection-weighted"
    description = "Canonical correlations weighted by how much of the first side's features lies along each."
    bounds = (0.0, 1.0)
    reference = "Morcos et al. 2018"
    needs_more_samples = True
    symmetric = False
    # Of either side. Invertible linear maps of y alone change nothing.
    invariances = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p min(n, p) to prepare; n r^2 + r^2 p to compare, for ranks r < n / 2"

    def derive(self, representation: Representation) -> Loaded:
        """Its components and loadings."""
        return representation.shared(_loaded)

    def compare(self, x: Loaded, y: Loaded) -> float:
        """Weighted mean of the canonical correlations."""
        return _weighted(cross(x.components, y.components), x.loadings)

    def from_sums(self, result: PairedResult) -> float:
        """From scatter matrices. Raises DegenerateInputError where they do not tell a direction from rounding."""
        pair = whitened(result)
        return _weighted(pair.cross, pair.x.loadings)


def _loaded(representation: Representation) -> Loaded:
    components = representation.shared(principal)
    return Loaded(components, components.u.T @ representation.centred)


def _weighted(cross: Tensor, loadings: Tensor) -> float:
    turns, correlations, _ = torch.linalg.svd(cross, full_matrices=False)
    weights = (turns.T @ loadings).abs().sum(dim=1)
    return float(weights @ correlations / weights.sum())
