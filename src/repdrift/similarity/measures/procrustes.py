"""Procrustes: how far samples lie apart once one side is turned, or its features are reordered, onto the other."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from repdrift.core.errors import ConfigError, ShapeError
from repdrift.similarity.arrays import require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import OF_FEATURES, OF_SHAPE
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.subspaces.alignment import (
    Shape,
    angle,
    scatter_distance,
    unit,
    unit_shape,
    whitened_scatter_distance,
    whitened_shape,
)
from repdrift.similarity.subspaces.principal import principal


@register
class Procrustes(Measure):
    """min over orthogonal Q of ||XQ - Y||_F, both sides centred and of norm 1, the narrower padded with zeros.

    It is a metric on shapes, so it is not squared: sqrt(2 - 2 ||X'Y||_*), where Ding et al. report its square. A value from
    sums that is below about 1e-7 is rounding (3e-4 with float32 products).
    """

    name = "procrustes"
    title = "Procrustes distance"
    description = "Distance left after the best rotation, both sides centred and scaled to norm 1; not squared."
    bounds = (0.0, math.sqrt(2))
    self_value = 0.0
    higher_is_similar = False
    reference = "Schönemann 1966; Ding et al. 2021; Williams et al. 2021"
    streaming = EXACT
    invariances = OF_SHAPE
    cost = "n p min(n, p) to prepare; k^3 to compare, k = min(n, p), and n p q where n > p"

    def derive(self, representation: Representation) -> Shape:
        """Compute its shape."""
        return representation.shared(unit_shape)

    def compare(self, x: Shape, y: Shape) -> float:
        """Distance of two shapes."""
        return x.distance(y)

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means."""
        return scatter_distance(result.scatter)


@register
class AngularProcrustes(Procrustes):
    """arccos ||X'Y||_* of centred sides of Frobenius norm 1, in radians, as 2 arcsin(d / 2) of their distance d.

    In this form it keeps its digits near 0, where an arc cosine has none. It is the Riemannian shape distance: the length
    of the way between the two on the sphere of shapes.
    """

    name = "procrustes_angular"
    title = "Procrustes angle"
    description = "Angle in radians left after the best rotation, both sides centred; 0 to pi/2."
    bounds = (0.0, math.pi / 2)
    reference = "Williams et al. 2021; Kendall 1984"

    def compare(self, x: Shape, y: Shape) -> float:
        """Angle between two shapes."""
        return angle(super().compare(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means."""
        return angle(super().from_moments(result))


@register
class ShapeMetric(Procrustes):
    """Procrustes angle, in radians, of X (alpha I + (1 - alpha) (X'X)^-1/2).

    X is centred, with singular values of root mean square 1. alpha 1 is the Procrustes angle. Towards 0 it becomes
    arccos(sum of canonical correlations / sqrt(rank_x rank_y)), which is 0 whatever the data unless samples outnumber
    features. In between both weigh: an axis of length s counts as alpha s + 1 - alpha.
    Departures: Williams et al. whiten X as it is, so that the weights of both parts depend on the units and on n; here
    they do not. Axes no longer than rounding are left out, where netrep lengthens them to a fixed minimum.
    """

    name = "shape_metric"
    title = "shape metric, half whitened"
    description = "Angle in radians after the best rotation of partly whitened sides (alpha = 1/2); 0 to pi/2."
    bounds = (0.0, math.pi / 2)
    reference = "Williams et al. 2021, partial whitening"
    cost = "n p min(n, p) + k^3 to prepare, k = min(n, p); k^3 to compare, and n p q where n > p"

    def __init__(self, alpha: float = 0.5) -> None:
        """Raises ConfigError unless 0 < alpha <= 1."""
        if not 0 < alpha <= 1:
            raise ConfigError(f"alpha should be above 0 and at most 1, got {alpha}; 0 is canonical correlation")
        self.alpha = alpha

    def derive(self, representation: Representation) -> Shape:
        """Compute its partly whitened shape. Raises DegenerateInputError if nothing varies by more than rounding."""
        return whitened_shape(representation.shared(principal), self.alpha)

    def compare(self, x: Shape, y: Shape) -> float:
        """Angle between two partly whitened shapes."""
        return angle(super().compare(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from sums about the means, which should be of float64 products.

        Raises DegenerateInputError if the shortest axes cannot be told from the rounding of the sums.
        """
        return angle(whitened_scatter_distance(result.scatter, self.alpha))


@register
class PermutationProcrustes(Measure):
    """min over orders of features of ||XP - Y||_F, both sides centred and of Frobenius norm 1. Not squared.

    No signs are flipped, so that it may exceed sqrt(2). The best order is scipy's solution of the assignment problem,
    on the processor: torch has none. A distance below about 1e-7 is that of an order as good to rounding.
    """

    name = "procrustes_permutation"
    title = "Procrustes distance, features permuted"
    description = "Distance left after the best pairing of features, both sides centred and of norm 1; not squared."
    bounds = (0.0, 2.0)
    self_value = 0.0
    higher_is_similar = False
    same_width = True
    reference = "Williams et al. 2021; Li et al. 2015; assignment: Crouse 2016"
    streaming = "is measured on the rows themselves, matched"
    invariances = OF_FEATURES
    cost = "n p to prepare; n p^2 + p^3 to compare"

    def derive(self, representation: Representation) -> Shape:
        """Compute its shape, in the coordinates of the features."""
        return representation.shared(_features)

    def compare(self, x: Shape, y: Shape) -> float:
        """Distance after the best reordering of features. Raises ShapeError unless both have as many features."""
        require_paired(x.n, y.n)
        p, q = x.rows.shape[1], y.rows.shape[1]
        if p != q:
            raise ShapeError(f"{self.name} needs the same features on both sides, got {p} and {q}")
        products = (x.rows.T @ y.rows).cpu().numpy()
        order = torch.as_tensor(np.asarray(linear_sum_assignment(products, maximize=True)[1]), device=x.device)
        # Products tell nearly equal features apart to half the digits only; most often each is its own best match.
        return min(
            float(torch.linalg.vector_norm(x.rows - y.rows[:, order])),
            float(torch.linalg.vector_norm(x.rows - y.rows)),
        )


def _features(representation: Representation) -> Shape:
    return Shape(unit(representation.centred))
