"""Directions of rows: where they point, whatever their length, and how closely they point the same way.

All that is near 1 when every sample shares a large common mean is computed as what is missing to 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, NonFiniteError
from repdrift.similarity.geometry.row_cosine import unit_rows
from repdrift.similarity.inputs import centred
from repdrift.similarity.representation import Representation

_CANCELLED = 1e-13
"""A mean row below this share of the longest row is what rounding leaves of rows that add up to zero."""

_STRIP = 512
"""Rows whose distances to the others are held at a time."""


def directions(representation: Representation) -> Tensor:
    """Raw rows at length 1: (n, p). Shared. Raises DegenerateInputError naming a row that is all zero."""
    return unit_rows(representation.exact).rows


def centred_directions(representation: Representation) -> Tensor:
    """Raw rows at length 1, minus their mean: (n, p). Shared. Raises as `directions`."""
    return centred(representation.shared(directions))


def eccentricity(representation: Representation) -> float:
    """1 - concentricity: 1 less the mean cosine between a row and the mean row, as half a mean squared distance. Shared.

    Raises DegenerateInputError naming a row that is all zero, or where the rows add up to zero.
    """
    mean = representation.scaled.mean(dim=0)
    length, longest = float(mean.norm()), float(representation.scaled.norm(dim=1).max())
    if length <= _CANCELLED * longest:
        raise DegenerateInputError("the mean of all samples is zero: no direction to compare them with")
    return float((representation.shared(directions) - mean / length).square().sum(dim=1).mean()) / 2


def isotropic_share(representation: Representation) -> float:
    """1 - anisotropy: 1 less the mean cosine over all pairs of rows. Shared. Raises as `directions`.

    The mean of |u_i - u_j|^2 / 2 over pairs of unit rows is n / (n - 1) times the mean of |u_i - mean u|^2.
    """
    return float(representation.shared(centred_directions).square().sum()) / (representation.n - 1)


def uniformity(representation: Representation) -> float:
    """log of the mean over pairs i < j of exp(-2 |u_i - u_j|^2), u at length 1. Shared. Raises as `directions`."""
    u = representation.shared(centred_directions)  # the same distances, of small numbers
    lengths = u.square().sum(dim=1)
    total = u.new_zeros(())
    for start in range(0, representation.n, _STRIP):
        part = slice(start, start + _STRIP)
        squared = torch.addmm(lengths[start:], u[part], u[start:].T, alpha=-2).add_(lengths[part, None])
        total += squared.mul_(-2).expm1_().triu_(1).sum()
    return math.log1p(float(total) / (representation.n * (representation.n - 1) / 2))


def magnitude(representation: Representation) -> float:
    """Length of the mean raw row. Shared. Raises NonFiniteError if float64 does not hold it."""
    mean = representation.exact.mean(dim=0)
    if not bool(torch.isfinite(mean).all()):
        mean = (representation.exact / representation.n).sum(dim=0)  # the sum of the largest numbers overflows
    found = length(mean)
    if not math.isfinite(found):
        raise NonFiniteError("the length of the mean row is too large for float64")
    return found


def length(row: Tensor) -> float:
    """Euclidean length of a row (p,), whose squares may lie outside float64."""
    largest = float(row.abs().max())
    return largest * float((row / largest).norm()) if largest > 0 else 0.0
