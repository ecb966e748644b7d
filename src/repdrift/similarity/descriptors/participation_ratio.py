"""Participation ratio: how many dimensions vary."""

from __future__ import annotations

import math

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL, TRANSLATION
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.spectrum import eigenvalues


@register
class ParticipationRatio(Descriptor):
    """(sum l)^2 / sum l^2 of the eigenvalues l of the covariance, from traces: no eigenvalue is computed."""

    name = "participation_ratio"
    title = "participation ratio"
    description = "Number of dimensions that vary: squared sum over sum of squares of the covariance's eigenvalues."
    bounds = (1.0, math.inf)
    reference = "Gao et al. 2017"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p min(n, p)"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """From sums of eigenvalues."""
        return representation.shared(eigenvalues).participation_ratio
