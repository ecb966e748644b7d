"""Mean cosine after each side's mean vector is taken off: about 0 for unrelated samples."""

from __future__ import annotations

from repdrift.similarity.inputs import Representation, as_float64, centred
from repdrift.similarity.measure import ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION, register
from repdrift.similarity.measures.cosine import RawCosine
from repdrift.similarity.row_cosine import UnitRows, unit_rows


@register
class CentredCosine(RawCosine):
    """The raw cosine's formula on centred columns. Its interval takes the means as known (their error is O(1/n))."""

    name = "cosine_centered"
    title = "cosine, centred"
    description = "Mean cosine of a sample's two vectors, each side's mean taken off first."
    reference = "textbook"
    invariances = frozenset({ISOTROPIC_SCALING, SHARED_ROTATION, TRANSLATION})

    def prepare(self, x: Representation) -> UnitRows:
        """Centred rows of length 1."""
        return unit_rows(centred(as_float64(x)))
