"""Mean canonical correlation of the leading principal components of both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.core.errors import ConfigError
from repdrift.similarity.measure import (
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.canonical import InvertingMeasure, cross, mean_correlation, whitened_leading
from repdrift.similarity.subspaces.principal import Principal, principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class SingularVectorCca(InvertingMeasure):
    """Mean CCA of the fewest principal components of each side that hold `share` of its variance.

    Variances are squared singular values. The value is a mean over as many correlations as the side with fewer of them
    has. That number moves by one where a component crosses the share: values of two layers are means over different
    numbers. Where one component holds 99 % of the variance, it is that one's correlation and nothing else. Raises
    DegenerateInputError where the components kept on both sides reach n - 1 together; `SingularVectorCca(share=0.9)`
    keeps fewer.
    """

    name = "svcca"
    title = "SVCCA"
    description = "Mean canonical correlation of the principal components that hold 99 % of each side's variance."
    bounds = (0.0, 1.0)
    reference = "Raghu et al. 2017"
    needs_more_samples = True
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; n r^2 to compare, for r components kept"

    def __init__(self, share: float = 0.99) -> None:
        """Raises ConfigError unless 0 < share <= 1."""
        if not 0 < share <= 1:
            raise ConfigError(f"the share of the variance to keep should lie above 0 and be at most 1, got {share}")
        self.share = share

    def derive(self, representation: Representation) -> Principal:
        """Its leading components."""
        return representation.shared(principal).leading(self.share)

    def compare(self, x: Principal, y: Principal) -> float:
        """Mean canonical correlation of what was kept."""
        return mean_correlation(cross(x, y))

    def from_sums(self, result: PairedResult) -> float:
        """From scatter matrices. Raises DegenerateInputError where they do not tell a component from rounding."""
        return mean_correlation(whitened_leading(result, self.share).cross)
