"""Isotropy: how evenly the variance fills all features, whichever way they are turned."""

from __future__ import annotations

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL, TRANSLATION
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.spectrum import eigenvalues


@register
class Isotropy(Descriptor):
    """IsoScore.

    The source's steps (PCA, the covariance's diagonal scaled to length sqrt p, its distance to the diagonal of ones, that
    distance rescaled twice) multiply out to (PR - 1) / (p - 1) with the participation ratio PR, and that is what is computed.
    With fewer samples than features it cannot exceed (n - 2) / (p - 1), so that values at different n are not comparable.
    """

    name = "isotropy"
    title = "isotropy, IsoScore"
    description = "Share of the features that the variance fills evenly; 0 = one axis, 1 = all axes alike."
    bounds = (0.0, 1.0)
    reference = "Rudman et al. 2022, algorithm 1"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p min(n, p)"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """From sums of eigenvalues. Raises DegenerateInputError for a single feature."""
        if representation.p == 1:
            raise DegenerateInputError("of a single feature isotropy is undefined: there are no axes to share between")
        return (representation.shared(eigenvalues).participation_ratio - 1) / (representation.p - 1)
