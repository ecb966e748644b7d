import numpy as np
import pytest

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics import base_distance_layers, base_distance_test

_FOUR = 1.0 - np.eye(4)


def test_one_trained_model_has_no_distance_among_the_others():
    with pytest.raises(ShapeError, match=r"distances\[1\] has 1 trained model"):
        base_distance_test([_FOUR, 1.0 - np.eye(2)])


def test_what_is_no_distance_matrix_is_refused():
    with pytest.raises(ShapeError, match="at least one stratum"):
        base_distance_test([])
    with pytest.raises(ShapeError, match="should be square"):
        base_distance_test([np.ones((3, 4))])
    lopsided = _FOUR.copy()
    lopsided[0, 1] = 2.0
    with pytest.raises(ShapeError, match=r"distances\[0\] should be symmetric"):
        base_distance_test([lopsided])
    hole = _FOUR.copy()
    hole[2, 3] = np.nan
    with pytest.raises(NonFiniteError, match="models 2 and 3: nan"):
        base_distance_test([_FOUR, hole])
    with pytest.raises(ShapeError, match=r"same layers; got \[2, 3\]"):
        base_distance_layers([np.tile(_FOUR, (2, 1, 1)), np.tile(_FOUR, (3, 1, 1))])
    with pytest.raises(ConfigError, match="n_permutations should be at least 1"):
        base_distance_test([_FOUR], n_permutations=0)


def test_equal_distances_tie_in_every_arrangement_and_the_diagonal_plays_no_part():
    matrix = 0.1 * _FOUR + np.diag([np.nan] * 4)
    assert base_distance_test([matrix, matrix]).pvalue == 1.0
    assert base_distance_layers([matrix[None]]).pvalue.tolist() == [1.0]
