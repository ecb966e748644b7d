"""Magnitude of activations: the length of the mean row, and the largest single activation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdrift.core.errors import NonFiniteError
from repdrift.similarity.catalogue import register
from repdrift.similarity.descriptor import Descriptor, DescriptorDifference
from repdrift.similarity.invariances import FEATURE_PERMUTATION, ORTHOGONAL, SHARED_ROTATION
from repdrift.similarity.measure import EXACT
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult


@register
class Magnitude(Descriptor):
    """Euclidean length of the mean of all samples."""

    name = "magnitude"
    title = "length of the mean"
    description = "Euclidean length of the mean row, in units of the activations."
    bounds = (0.0, math.inf)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, FEATURE_PERMUTATION})
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Length of the mean row."""
        return representation.shared(magnitude)


@register
class MagnitudeDifference(DescriptorDifference):
    """| ||mean of y|| - ||mean of x|| |, in units of the activations."""

    name = "magnitude_difference"
    title = "difference of magnitudes"
    description = "By how much the length of the mean row changed, in units of the activations."
    bounds = (0.0, math.inf)
    reference = "Wang et al. 2022; Klabunde et al. 2025"
    invariances = frozenset({ORTHOGONAL, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p"
    streaming = EXACT

    def describe(self, representation: Representation) -> float:
        """Length of the mean row."""
        return representation.shared(magnitude)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from the means."""
        base, tuned = result.means
        return abs(length(tuned) - length(base))


@register
class LargestActivation(Descriptor):
    """The largest |x| of any sample and feature: a sign of massive activations, which dominate whatever is not scaled."""

    name = "largest_activation"
    title = "largest activation"
    description = "Largest absolute number of any sample and feature."
    bounds = (0.0, math.inf)
    reference = "Sun et al. 2024"
    invariances = frozenset({FEATURE_PERMUTATION})
    cost = "n p"

    def describe(self, representation: Representation) -> float:
        """Largest |x|."""
        return float(representation.given.abs().max())


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
