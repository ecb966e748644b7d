"""Directions of rows: where they point, whatever their length, and how closely they point the same way.

Where every sample shares a large common mean, cosines are near 1: what is missing to 1 is computed, which has digits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import centred
from repdrift.similarity.catalogue import register
from repdrift.similarity.descriptor import Descriptor, DescriptorDifference
from repdrift.similarity.geometry.row_cosine import unit_rows
from repdrift.similarity.invariances import FEATURE_PERMUTATION, ISOTROPIC_SCALING, OF_DIRECTIONS, ORTHOGONAL
from repdrift.similarity.representation import Representation

_ALONE = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, FEATURE_PERMUTATION})

_CANCELLED = 1e-13
"""A mean row below this share of the longest row is what rounding leaves of rows that add up to zero."""

_STRIP = 512
"""Rows whose distances to the others are held at a time."""


@register
class Anisotropy(Descriptor):
    """Mean cosine between two different samples, over all pairs, in closed form.

    It departs from the source, which draws pairs at random.
    """

    name = "anisotropy"
    title = "mean cosine of pairs"
    description = "Mean cosine between two different samples, over all pairs of raw rows; 0 = no common direction."
    bounds = (-1 / 3, 1.0)  # -1 / (n - 1) at most, of 4 samples
    reference = "Ethayarajh 2019"
    invariances = _ALONE
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Mean cosine. Raises DegenerateInputError if a row is all zero, naming it."""
        return 1 - representation.shared(isotropic_share)


@register
class Concentricity(Descriptor):
    """Mean cosine between a sample and the mean of all samples."""

    name = "concentricity"
    title = "mean cosine to the mean"
    description = "Mean cosine between a sample's raw row and the mean row; 1 = all point the same way."
    bounds = (-1.0, 1.0)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = _ALONE
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Mean cosine. Raises DegenerateInputError if a row, which is named, or the mean row is all zero."""
        return 1 - representation.shared(eccentricity)


@register
class ConcentricityDifference(DescriptorDifference):
    """|concentricity(y) - concentricity(x)|."""

    name = "concentricity_difference"
    title = "difference of concentricities"
    description = "By how much the mean cosine between a sample's row and the mean row changed."
    bounds = (0.0, 2.0)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = OF_DIRECTIONS
    cost = "n p"
    streaming = "needs the means before the first row"

    def describe(self, representation: Representation) -> float:
        """1 - concentricity: where all rows share a large mean, that is the part that has digits."""
        return representation.shared(eccentricity)


@register
class Uniformity(Descriptor):
    """log of the mean of exp(-2 |u - v|^2) over pairs of different samples at length 1: the loss of the source, t = 2.

    Lower is more uniform. Nothing lies below -4 in the population; of n samples, below -4 n / (n - 1).
    """

    name = "uniformity"
    title = "uniformity of directions"
    description = "log mean exp(-2 d^2) over pairs of raw rows at length 1; 0 = all alike, near -4 = spread evenly."
    bounds = (-16 / 3, 0.0)
    reference = "Wang and Isola 2020, section 4.1"
    invariances = _ALONE
    cost = "n^2 p"

    def describe(self, representation: Representation) -> float:
        """Compute it from all pairs. Raises DegenerateInputError if a row is all zero, naming it."""
        return representation.shared(uniformity)


@register
class UniformityDifference(DescriptorDifference):
    """|uniformity(y) - uniformity(x)|, of rows at length 1 and pairs of different samples.

    It departs from the survey, which takes rows of any length and counts each sample as a pair with itself.
    """

    name = "uniformity_difference"
    title = "difference of uniformities"
    description = "By how much log mean exp(-2 d^2) over pairs of raw rows at length 1 changed."
    bounds = (0.0, 4.0)
    estimate_bounds = (0.0, 16 / 3)  # of n samples 4 n / (n - 1)
    reference = "Wang and Isola 2020; Klabunde et al. 2025"
    invariances = OF_DIRECTIONS
    cost = "n^2 p"
    streaming = "needs distances between all rows"

    def describe(self, representation: Representation) -> float:
        """Uniformity. Raises DegenerateInputError if a row is all zero, naming it."""
        return representation.shared(uniformity)


def directions(representation: Representation) -> Tensor:
    """Raw rows at length 1: (n, p). Shared. Raises DegenerateInputError if a row is all zero, naming it."""
    return unit_rows(representation.exact).rows


def centred_directions(representation: Representation) -> Tensor:
    """Raw rows at length 1, minus their mean: (n, p). Shared. Raises DegenerateInputError if a row is all zero."""
    return centred(representation.shared(directions))


def eccentricity(representation: Representation) -> float:
    """1 - concentricity: 1 less the mean cosine between a row and the mean row, as half a mean squared distance. Shared.

    Raises DegenerateInputError if a row is all zero, naming it, or if the rows add up to zero.
    """
    mean = representation.scaled.mean(dim=0)
    length, longest = float(mean.norm()), float(representation.scaled.norm(dim=1).max())
    if length <= _CANCELLED * longest:
        raise DegenerateInputError("the mean of all samples is zero: no direction to compare them with")
    return float((representation.shared(directions) - mean / length).square().sum(dim=1).mean()) / 2


def isotropic_share(representation: Representation) -> float:
    """1 - anisotropy: 1 less the mean cosine over all pairs of rows. Shared.

    The mean of |u_i - u_j|^2 / 2 over pairs of unit rows is n / (n - 1) times the mean of |u_i - mean u|^2.
    Raises DegenerateInputError if a row is all zero, naming it.
    """
    return float(representation.shared(centred_directions).square().sum()) / (representation.n - 1)


def uniformity(representation: Representation) -> float:
    """log of the mean over pairs i < j of exp(-2 |u_i - u_j|^2), u at length 1. Shared.

    Raises DegenerateInputError if a row is all zero, naming it.
    """
    u = representation.shared(centred_directions)  # the same distances, of small numbers
    lengths, n = u.square().sum(dim=1), representation.n
    total = u.new_zeros(())
    for start in range(0, n, _STRIP):
        part = slice(start, start + _STRIP)
        squared = torch.addmm(lengths[start:], u[part], u[start:].T, alpha=-2).add_(lengths[part, None])
        total += squared.mul_(-2).expm1_().triu_(1).sum()
    return math.log1p(float(total) / (n * (n - 1) / 2))
