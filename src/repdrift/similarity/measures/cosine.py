"""Cosine: the angle between a sample's two vectors, as they are or with each side's mean taken off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdrift.core.confidence import Interval, jackknife_reach, upper_level
from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.arrays import as_orders, require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.geometry.row_cosine import UnitRows, mispaired_cosines, row_cosines, unit_rows
from repdrift.similarity.invariances import ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION
from repdrift.similarity.kernels.centred_cosines import CentredRows, centred_rows, cosine_without_one
from repdrift.similarity.measure import EXACT, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.streaming.result import PairedResult
from repdrift.similarity.uncertainty.delete_one import (
    mean_reach,
    mean_without_one,
)


class RowCosine(Measure):
    """Mean over samples of the cosine between a sample's two rows."""

    bounds = (-1.0, 1.0)
    reference = "textbook"
    cost = "n p"
    same_width = True

    def compare(self, x: UnitRows, y: UnitRows) -> float:
        """Mean cosine."""
        return float(row_cosines(x, y).mean())

    def mispaired(self, x: UnitRows, y: UnitRows, permutations: NDArray[np.integer]) -> NDArray[np.float64]:
        """Mean cosines with the samples of y in other orders."""
        require_paired(x.n, y.n)
        orders = as_orders(permutations, y.n, y.device)
        return mispaired_cosines(x, y, orders).cpu().numpy()


@register
class RawCosine(RowCosine):
    """Mean over samples of the cosine between a sample's two representations, as they are.

    The mean vector that all samples share dominates it: read it beside its mispaired floor.
    """

    name = "cosine"
    title = "cosine, raw"
    description = "Mean cosine of a sample's two vectors, not centred; near 0.9 even for mispaired samples."
    invariances = frozenset({ISOTROPIC_SCALING, SHARED_ROTATION})
    streaming = EXACT

    def derive(self, representation: Representation) -> UnitRows:
        """Scale rows to length 1."""
        return representation.shared(_raw_unit_rows)

    def interval(self, x: UnitRows, y: UnitRows, confidence: float = 0.95) -> Interval | None:
        """Student's interval of the mean over samples. Raises ConfigError unless 0 < confidence < 1."""
        cosines = row_cosines(x, y).cpu().numpy()
        centre, reach = float(cosines.mean()), mean_reach(cosines, confidence)
        return Interval(centre - reach, centre + reach)

    def without_one(self, x: UnitRows, y: UnitRows) -> NDArray[np.float64] | None:
        """Mean cosines without each sample in turn."""
        return mean_without_one(row_cosines(x, y).cpu().numpy())

    def from_moments(self, result: PairedResult) -> float:
        """Compute it from the sum of the rows' cosines."""
        return result.cosine


@register
class CentredCosine(RowCosine):
    """Mean over samples of the cosine after each side's mean vector is taken off: about 0 for unrelated samples."""

    name = "cosine_centered"
    title = "cosine, centred"
    description = "Mean cosine of a sample's two vectors, each side's mean taken off first."
    streaming = "needs the means before the first row"
    invariances = frozenset({ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION})

    def derive(self, representation: Representation) -> CentredRows:
        """Centre rows and scale them to length 1."""
        return representation.shared(centred_rows)

    def interval(self, x: CentredRows, y: CentredRows, confidence: float = 0.95) -> Interval | None:
        """Delete-one jackknife: a sample that is left out takes its part in the means along. None if that is undefined.

        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        upper_level(confidence)  # a wrong confidence is an error where there is no interval too
        try:
            values = self.without_one(x, y)
        except DegenerateInputError:
            return None
        centre, reach = self.compare(x, y), jackknife_reach(values, confidence)
        return Interval(centre - reach, centre + reach)

    def without_one(self, x: CentredRows, y: CentredRows) -> NDArray[np.float64]:
        """Mean cosines without each sample in turn, about the means without it; see `cosine_without_one` for n > 512.

        Raises DegenerateInputError if a sample lies at the mean once another one is left out, naming it.
        """
        return cosine_without_one(x, y).cpu().numpy()


def _raw_unit_rows(representation: Representation) -> UnitRows:
    return unit_rows(representation.exact)
