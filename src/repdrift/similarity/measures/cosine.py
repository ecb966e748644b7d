"""Mean cosine of raw rows: dominated by the mean vector that all samples share; read it beside its mispaired floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.similarity.geometry.row_cosine import UnitRows, mispaired_cosines, row_cosines, unit_rows
from repdrift.similarity.inputs import as_orders, require_paired
from repdrift.similarity.measure import EXACT, ISOTROPIC_SCALING, SHARED_ROTATION, Interval, Measure, register
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.sample_intervals import mean_reach, mean_without_one

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


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
    streaming = EXACT
    same_width = True

    def derive(self, representation: Representation) -> UnitRows:
        """Rows of length 1."""
        return representation.shared(_raw_unit_rows)

    def compare(self, x: UnitRows, y: UnitRows) -> float:
        """Mean cosine."""
        return float(row_cosines(x, y).mean())

    def interval(self, x: UnitRows, y: UnitRows, confidence: float = 0.95) -> Interval | None:
        """Student's interval of the mean over samples. Raises ConfigError unless 0 < confidence < 1."""
        cosines = row_cosines(x, y).cpu().numpy()
        centre, reach = float(cosines.mean()), mean_reach(cosines, confidence)
        return Interval(centre - reach, centre + reach)

    def without_one(self, x: UnitRows, y: UnitRows) -> NDArray[np.float64] | None:
        """Means of one sample less."""
        return mean_without_one(row_cosines(x, y).cpu().numpy())

    def mispaired(self, x: UnitRows, y: UnitRows, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Mean cosines with the samples of y in other orders."""
        require_paired(x.n, y.n)
        orders = as_orders(permutations, y.n, y.device)
        return mispaired_cosines(x, y, orders).cpu().numpy()

    def from_moments(self, result: PairedResult) -> float:
        """From the sum of the rows' cosines."""
        return result.cosine


def _raw_unit_rows(representation: Representation) -> UnitRows:
    return unit_rows(representation.exact)
