"""Angular Procrustes distance: the angle between two representations after the best rotation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from repdrift.similarity.measure import register
from repdrift.similarity.measures.procrustes import Procrustes
from repdrift.similarity.subspaces.alignment import Shape, angle

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class AngularProcrustes(Procrustes):
    """arccos ||X'Y||_* of centred sides of Frobenius norm 1, in radians, as 2 arcsin(d / 2) of their distance d.

    So it keeps its digits near 0, where an arc cosine has none. The Riemannian shape distance: the length of the
    way between the two on the sphere of shapes.
    """

    name = "procrustes_angular"
    title = "Procrustes angle"
    description = "Angle in radians left after the best rotation, both sides centred; 0 to pi/2."
    bounds = (0.0, math.pi / 2)
    reference = "Williams et al. 2021; Kendall 1984"

    def compare(self, x: Shape, y: Shape) -> float:
        """The angle between two shapes."""
        return angle(super().compare(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """From sums about the means."""
        return angle(super().from_moments(result))
