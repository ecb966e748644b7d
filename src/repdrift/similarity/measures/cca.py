"""Canonical correlation analysis: what is left of two representations when any linear map of either side is free.

Canonical correlations are the singular values of Ux'Uy. The measures weigh them in different ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import ConfigError
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import OF_FEATURES, OF_SHAPE, OF_SPAN
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.subspaces.canonical import cross, mean_correlation, whitened, whitened_leading
from repdrift.similarity.subspaces.principal import Principal, principal


@register
class MeanCca(Measure):
    """Sum of the canonical correlations / the smaller rank.

    A direction that hardly varies counts as much as any other, even one that only the rounding of stored values spans.
    Raises DegenerateInputError if the ranks of both sides together reach n - 1. Unrelated sides of ranks r and q
    give about sqrt(max(r, q) / n), not 0.
    """

    name = "cca"
    title = "CCA, mean"
    description = "Mean canonical correlation over the smaller rank; blind to any invertible linear map of either side."
    bounds = (0.0, 1.0)
    reference = "Hotelling 1936; Raghu et al. 2017; Kornblith et al. 2019"
    needs_more_samples = True
    streaming = EXACT
    invariances = OF_SPAN
    cost = "n p min(n, p) to prepare; n r^2 to compare, for ranks r < n / 2"

    def derive(self, representation: Representation) -> Principal:
        """Compute its principal components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """Mean canonical correlation of two sides."""
        return mean_correlation(cross(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices.

        Raises DegenerateInputError if they do not tell a direction from rounding.
        """
        return mean_correlation(whitened(result).cross)


@register
class SingularVectorCca(Measure):
    """Mean CCA of the fewest principal components of each side that hold `share` of its variance.

    Variances are squared singular values. The value is a mean over as many correlations as the side with fewer of them
    has. That number moves by one where a component crosses the share: values of two layers are means over different
    numbers. Where one component holds 99 % of the variance, the value is the correlation of that one and nothing else.
    Raises DegenerateInputError if the components kept on both sides reach n - 1 together;
    `SingularVectorCca(share=0.9)` keeps fewer.
    """

    name = "svcca"
    title = "SVCCA"
    description = "Mean canonical correlation of the principal components that hold 99 % of each side's variance."
    bounds = (0.0, 1.0)
    reference = "Raghu et al. 2017"
    needs_more_samples = True
    streaming = EXACT
    invariances = OF_SHAPE
    cost = "n p min(n, p) to prepare; n r^2 to compare, for r components kept"

    def __init__(self, share: float = 0.99) -> None:
        """Raises ConfigError unless 0 < share <= 1."""
        if not 0 < share <= 1:
            raise ConfigError(f"the share of the variance to keep should lie above 0 and be at most 1, got {share}")
        self.share = share

    def derive(self, representation: Representation) -> Principal:
        """Compute its leading components."""
        return representation.shared(principal).leading(self.share)

    def compare(self, x: Principal, y: Principal) -> float:
        """Mean canonical correlation of the components that were kept."""
        return mean_correlation(cross(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices.

        Raises DegenerateInputError if they do not tell a component from rounding.
        """
        return mean_correlation(whitened_leading(result, self.share).cross)


@dataclass(frozen=True, eq=False)
class Loaded:
    """Principal components of one side, and their products with its centred features: (r, p)."""

    components: Principal
    loadings: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.components.n

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.components.device

    def permuted(self, order: Tensor) -> Loaded:
        """Put the samples in another order."""
        return Loaded(self.components.permuted(order), self.loadings)


@register
class ProjectionWeightedCca(Measure):
    """sum a_i rho_i / sum a_i with a_i = sum_j |<h_i, x_j>|: noise directions of x count little.

    h_i are the canonical variates of x, of length 1, and x_j its centred features.
    The weights are those of the first side, the base, as in the paper. (The code published with it takes them from the
    side with fewer features, and from the first if both have as many; others take the mean of both directions.) A sum
    of absolute values over features is not invariant to rotation: turning x changes the value, turning y does not.
    Raises DegenerateInputError if the ranks of both sides together reach n - 1.
    """

    name = "pwcca"
    title = "CCA, projection-weighted"
    description = "Canonical correlations weighted by how much of the first side's features lies along each."
    bounds = (0.0, 1.0)
    reference = "Morcos et al. 2018"
    needs_more_samples = True
    symmetric = False
    streaming = EXACT
    invariances = OF_FEATURES  # of either side; invertible linear maps of y alone change nothing
    cost = "n p min(n, p) to prepare; n r^2 + r^2 p to compare, for ranks r < n / 2"

    def derive(self, representation: Representation) -> Loaded:
        """Compute its components and loadings."""
        return representation.shared(_loaded)

    def compare(self, x: Loaded, y: Loaded) -> float:
        """Weighted mean of the canonical correlations."""
        return _weighted(cross(x.components, y.components), x.loadings)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices.

        Raises DegenerateInputError if they do not tell a direction from rounding.
        """
        pair = whitened(result)
        return _weighted(pair.cross, pair.x.loadings)


def _loaded(representation: Representation) -> Loaded:
    components = representation.shared(principal)
    return Loaded(components, components.u.T @ representation.centred)


def _weighted(cross: Tensor, loadings: Tensor) -> float:
    turns, correlations, _ = torch.linalg.svd(cross, full_matrices=False)
    weights = (turns.T @ loadings).abs().sum(dim=1)
    return float(weights @ correlations / weights.sum())


@register
class EigenspaceOverlap(Measure):
    """||Ux'Uy||_F^2 / max(rank x, rank y): the sum of squared canonical correlations over the larger rank.

    It says which linear models the two sides can both express. It departs from the paper: columns are centred. Raw ones
    share the mean vector of all samples, a direction whose overlap says nothing; a linear model with an intercept does not
    see it. Two sides of unequal rank stay below 1. Raises DegenerateInputError if the ranks of both sides together reach
    n - 1. Unrelated sides of ranks r and q give about min(r, q) / n, not 0.
    """

    name = "eigenspace_overlap"
    title = "eigenspace overlap"
    description = (
        "Overlap of the spaces that the centred features span, over the larger rank; blind to invertible linear maps."
    )
    bounds = (0.0, 1.0)
    reference = "May et al. 2019"
    needs_more_samples = True
    streaming = EXACT
    invariances = OF_SPAN
    cost = "n p min(n, p) to prepare; n r^2 to compare, for ranks r < n / 2"

    def derive(self, representation: Representation) -> Principal:
        """Compute its principal components."""
        return representation.shared(principal)

    def compare(self, x: Principal, y: Principal) -> float:
        """Overlap of two spans."""
        return _overlap(cross(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from scatter matrices.

        Raises DegenerateInputError if they do not tell a direction from rounding.
        """
        return _overlap(whitened(result).cross)


def _overlap(cross: Tensor) -> float:
    return float(cross.square().sum()) / max(cross.shape)
