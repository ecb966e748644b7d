"""Dimensionality of one centred representation: how its variance is shared out over features and principal axes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.catalogue import register
from repdrift.similarity.descriptor import Descriptor
from repdrift.similarity.gram import gram
from repdrift.similarity.invariances import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL, TRANSLATION
from repdrift.similarity.representation import Representation

_ALONE = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})


@register
class EffectiveRank(Descriptor):
    """exp of the entropy of the singular values, as shares of their sum: how many directions they are spread over.

    It departs from the source in centring the representation first.
    """

    name = "effective_rank"
    title = "effective rank"
    description = "exp of the entropy of the centred singular values' shares; from 1 to the rank."
    bounds = (1.0, math.inf)
    reference = "Roy and Vetterli 2007"
    invariances = _ALONE
    cost = "n p min(n, p)"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """Compute it from the singular values."""
        values = representation.shared(singular_values)
        return math.exp(float(torch.special.entr(values / values.sum()).sum()))


@register
class ParticipationRatio(Descriptor):
    """(sum l)^2 / sum l^2 of the eigenvalues l of the covariance: how many dimensions vary.

    It is computed from traces, without any eigenvalue.
    """

    name = "participation_ratio"
    title = "participation ratio"
    description = "Number of dimensions that vary: squared sum over sum of squares of the covariance's eigenvalues."
    bounds = (1.0, math.inf)
    reference = "Gao et al. 2017"
    invariances = _ALONE
    cost = "n p min(n, p)"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """Compute it from sums of eigenvalues."""
        return representation.shared(participation_ratio)


@register
class Isotropy(Descriptor):
    """IsoScore: how evenly the variance fills all features, whichever way they are turned.

    The source's steps (PCA, the covariance's diagonal scaled to length sqrt p, its distance to the diagonal of ones, that
    distance rescaled twice) multiply out to (PR - 1) / (p - 1) with the participation ratio PR, and that is what is computed.
    With fewer samples than features it cannot exceed (n - 2) / (p - 1), so that values at different n are not comparable.
    """

    name = "isotropy"
    title = "isotropy, IsoScore"
    description = "Share of the features that the variance fills evenly; 0 = one axis, 1 = all axes alike."
    bounds = (0.0, 1.0)
    reference = "Rudman et al. 2022, algorithm 1"
    invariances = _ALONE
    cost = "n p min(n, p)"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """Compute it from sums of eigenvalues. Raises DegenerateInputError if there is a single feature."""
        if representation.p == 1:
            raise DegenerateInputError("of a single feature isotropy is undefined: there are no axes to share between")
        return (representation.shared(participation_ratio) - 1) / (representation.p - 1)


@register
class LargestActivationShare(Descriptor):
    """Variance of the most variable feature over the variance of all: how far one feature decides unscaled measures."""

    name = "largest_activation_share"
    title = "top feature's share"
    description = "Share of the variance that the most variable feature holds; over 0.5, one feature decides."
    bounds = (0.0, 1.0)
    reference = "see Timkey and van Schijndel 2021"
    invariances = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """Share of variance."""
        squares = representation.centred.square().sum(dim=0)
        return float(squares.max() / squares.sum())


def participation_ratio(representation: Representation) -> float:
    """(sum)^2 / sum of squares of the covariance's eigenvalues: how many equal ones would be spread as much. Shared.

    They are the squared trace and the squared Frobenius norm of the smaller product of rows, n x n or p x p.
    """
    x = representation.centred
    product = gram(x if representation.n <= representation.p else x.T)
    total = float(product.diagonal().sum())
    return total**2 / float(product.square_().sum())


def singular_values(representation: Representation) -> Tensor:
    """Singular values of the centred representation, descending: (min(n, p),). Shared.

    They are those of its triangular factor. Roots of eigenvalues of a product would lose all below 1e-8 of the largest.
    """
    x = representation.centred
    tall = x if representation.n > representation.p else x.T
    return torch.linalg.svdvals(torch.linalg.qr(tall, mode="r").R)
