"""Orthogonal Procrustes distance: how far samples lie apart once one side is turned onto the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from repdrift.similarity.measure import (
    EXACT,
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    SHARED_ROTATION,
    TRANSLATION,
    Measure,
    register,
)
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.alignment import Shape, scatter_distance, unit_shape

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class Procrustes(Measure):
    """min over orthogonal Q of ||XQ - Y||_F, both sides centred and of norm 1, the narrower padded with zeros.

    A metric on shapes, so not squared: sqrt(2 - 2 ||X'Y||_*), where Ding et al. report its square. From sums, what is
    below about 1e-7 is rounding (3e-4 with float32 products).
    """

    name = "procrustes"
    title = "Procrustes distance"
    description = "Distance left after the best rotation, both sides centred and scaled to norm 1; not squared."
    bounds = (0.0, math.sqrt(2))
    self_value = 0.0
    higher_is_similar = False
    reference = "Schönemann 1966; Ding et al. 2021; Williams et al. 2021"
    streaming = EXACT
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION, SHARED_ROTATION})
    cost = "n p min(n, p) to prepare; k^3 to compare, k = min(n, p), and n p q where n > p"

    def derive(self, representation: Representation) -> Shape:
        """The shape."""
        return representation.shared(unit_shape)

    def compare(self, x: Shape, y: Shape) -> float:
        """The distance of two shapes."""
        return x.distance(y)

    def from_moments(self, result: PairedResult) -> float:
        """From sums about the means."""
        return scatter_distance(result.scatter)
