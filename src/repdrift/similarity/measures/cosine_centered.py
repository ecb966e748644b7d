"""Mean cosine after each side's mean vector is taken off: about 0 for unrelated samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.similarity.geometry.row_cosine import UnitRows, unit_rows
from repdrift.similarity.measure import ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION, Measure, register
from repdrift.similarity.measures.cosine import RawCosine
from repdrift.similarity.side import Side

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class CentredCosine(RawCosine):
    """The raw cosine's formula on centred columns. Its interval takes the means as known (their error is O(1/n))."""

    name = "cosine_centered"
    title = "cosine, centred"
    description = "Mean cosine of a sample's two vectors, each side's mean taken off first."
    reference = "textbook"
    streaming = "needs the means before the first row"
    invariances = frozenset({ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION})

    def derive(self, side: Side) -> UnitRows:
        """Centred rows of length 1."""
        return side.shared(centred_unit_rows)

    def from_moments(self, result: PairedResult) -> float:
        """Raises DataError: not to be had from sums."""
        return Measure.from_moments(self, result)


def centred_unit_rows(side: Side) -> UnitRows:
    """Rows of length 1 of the centred side, shared."""
    return unit_rows(side.centred)
