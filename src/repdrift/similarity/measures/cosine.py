"""Mean cosine of raw rows: dominated by the mean vector that all samples share; read it beside its mispaired floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.inputs import Representation, as_float64, as_orders
from repdrift.similarity.measure import ISOTROPIC_SCALING, SHARED_ROTATION, Interval, Measure, register
from repdrift.similarity.row_cosine import UnitRows, row_cosines, unit_rows
from repdrift.similarity.spread import mean_reach


@register
class RawCosine(Measure):
    """The mean over samples of the cosine between a sample's two representations."""

    name = "cosine"
    title = "cosine, raw"
    description = "Mean cosine of a sample's two vectors, not centred; near 0.9 even for mispaired samples."
    bounds = (-1.0, 1.0)
    reference = "textbook"
    invariances = frozenset({ISOTROPIC_SCALING, SHARED_ROTATION})
    cost = "n p"
    same_width = True

    def prepare(self, x: Representation) -> UnitRows:
        """Rows of length 1."""
        return unit_rows(as_float64(x))

    def compare(self, x: UnitRows, y: UnitRows) -> float:
        """Mean cosine."""
        return float(row_cosines(x, y).mean())

    def interval(self, x: UnitRows, y: UnitRows, confidence: float = 0.95) -> Interval | None:
        """Student's interval of the mean over samples. Raises ConfigError unless 0 < confidence < 1."""
        cosines = row_cosines(x, y).cpu().numpy()
        centre, reach = float(cosines.mean()), mean_reach(cosines, confidence)
        return Interval(centre - reach, centre + reach)

    def mispaired(self, x: UnitRows, y: UnitRows, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Mean cosine with the samples of y in other orders."""
        orders = as_orders(permutations, y.rows.shape[0], y.rows.device)
        return np.array([self.compare(x, y.permuted(order)) for order in orders], dtype=np.float64)
