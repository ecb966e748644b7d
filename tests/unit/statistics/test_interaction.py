import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics import interaction_test

_STRATA = [*"xxyy"] * 2


def test_one_stratum_has_no_interaction():
    with pytest.raises(ShapeError, match="needs two strata, got only 'x'"):
        interaction_test([1, 2], [3, 4], strata=["x"] * 4)


def test_cells_without_a_residual_are_refused_by_name():
    with pytest.raises(ShapeError, match="'y' has 1 values of reference and 2 of comparison"):
        interaction_test([1, 2, 3], [1, 2, 3, 4], strata=[*"xxy", *"xxyy"])
    with pytest.raises(ShapeError, match="it needs both"):
        interaction_test([1, 2], [1, 2, 3, 4], strata=[*"xx", *"xxyy"])
    with pytest.raises(DegenerateInputError, match="neither method varies in stratum 'y'"):
        interaction_test([1, 2, 3, 3], [1, 2, 4, 4], strata=_STRATA)


def test_drifts_without_a_logarithm_are_refused_by_place():
    with pytest.raises(DegenerateInputError, match=r"comparison\[2\] is 0"):
        interaction_test([1, 2, 3, 4], [1, 2, 0, 4], strata=_STRATA)
    with pytest.raises(NonFiniteError, match=r"reference\[1\] is nan"):
        interaction_test([1, np.nan, 3, 4], [1, 2, 3, 4], strata=_STRATA)


def test_scale_of_a_task_does_not_matter():
    found = interaction_test([1, 1.2, 3, 3.5], [0.8, 0.9, 1, 1.4], strata=_STRATA)
    again = interaction_test([10, 12, 3, 3.5], [8, 9, 1, 1.4], strata=_STRATA)
    assert found.pvalue == pytest.approx(again.pvalue)
