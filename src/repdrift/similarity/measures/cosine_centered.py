"""Mean cosine after each side's mean vector is taken off: about 0 for unrelated samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.kernels.centred_cosines import CentredRows, centred_rows, cosine_without_one
from repdrift.similarity.measure import ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION, Interval, Measure, register
from repdrift.similarity.measures.cosine import RawCosine
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.sample_intervals import jackknife_reach, student_quantile

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class CentredCosine(RawCosine):
    """The raw cosine's formula on centred columns."""

    name = "cosine_centered"
    title = "cosine, centred"
    description = "Mean cosine of a sample's two vectors, each side's mean taken off first."
    reference = "textbook"
    streaming = "needs the means before the first row"
    invariances = frozenset({ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION})

    def derive(self, representation: Representation) -> CentredRows:
        """Centred rows of length 1."""
        return representation.shared(centred_rows)

    def interval(self, x: CentredRows, y: CentredRows, confidence: float = 0.95) -> Interval | None:
        """Delete-one jackknife: a sample that is left out takes its part in the means along. None where that is undefined.

        Raises ConfigError unless the confidence lies between 0 and 1.
        """
        student_quantile(x.n, confidence)  # a wrong confidence is an error where there is no interval too
        try:
            left_out = self.without_one(x, y)
        except DegenerateInputError:
            return None
        centre, reach = self.compare(x, y), jackknife_reach(left_out, confidence)
        return Interval(centre - reach, centre + reach)

    def without_one(self, x: CentredRows, y: CentredRows) -> NDArray[np.float64]:
        """Mean cosines of one sample less, about the means without it; see `cosine_without_one` for more than 512 samples.

        Raises DegenerateInputError naming a sample that lies at the mean once another one is left out.
        """
        return cosine_without_one(x, y).cpu().numpy()

    def from_moments(self, result: PairedResult) -> float:
        """Raises DataError: not to be had from sums."""
        return Measure.from_moments(self, result)
