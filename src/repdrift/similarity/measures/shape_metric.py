"""Shape metric with partial whitening: between the Procrustes angle and canonical correlation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from repdrift.core.errors import ConfigError
from repdrift.similarity.measure import register
from repdrift.similarity.measures.procrustes import Procrustes
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.alignment import (
    Shape,
    angle,
    whitened_scatter_distance,
    whitened_shape,
)
from repdrift.similarity.subspaces.principal import principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class ShapeMetric(Procrustes):
    """The Procrustes angle, in radians, of X (alpha I + (1 - alpha) (X'X)^-1/2), X centred and of singular values of
    root mean square 1.

    alpha 1 is the Procrustes angle; towards 0 it becomes arccos(sum of canonical correlations / sqrt(rank_x rank_y)),
    which is 0 whatever the data unless samples outnumber features. In between both weigh: an axis of length s counts
    as alpha s + 1 - alpha.
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
        """The partly whitened shape. Raises DegenerateInputError if nothing varies by more than rounding."""
        return whitened_shape(representation.shared(principal), self.alpha)

    def compare(self, x: Shape, y: Shape) -> float:
        """The angle between two partly whitened shapes."""
        return angle(super().compare(x, y))

    def from_moments(self, result: PairedResult) -> float:
        """From sums about the means, which should be of float64 products.

        Raises DegenerateInputError where the shortest axes cannot be told from the sums' rounding.
        """
        return angle(whitened_scatter_distance(result.scatter, self.alpha))
