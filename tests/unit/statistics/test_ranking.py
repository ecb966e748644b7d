import numpy as np
import pytest

from repdrift.core.errors import ConfigError, NonFiniteError, ShapeError
from repdrift.statistics.ranking import rank_layers

REPLICATES = np.random.default_rng(0).normal(size=(200, 4))
ESTIMATE = np.zeros(4)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"\(200, 4\), with 3 estimates"):
        rank_layers(REPLICATES, ESTIMATE[:3])
    with pytest.raises(ShapeError, match="at least two layers"):
        rank_layers(REPLICATES[:, :1], ESTIMATE[:1])
    with pytest.raises(ShapeError, match="replicates should be a table"):
        rank_layers(REPLICATES[0], ESTIMATE)


def test_missing_values_are_refused():
    hole = REPLICATES.copy()
    hole[7, 1] = np.inf
    with pytest.raises(NonFiniteError, match=r"replicates\[7, 1\] is inf"):
        rank_layers(hole, ESTIMATE)
    with pytest.raises(NonFiniteError, match=r"estimate\[2\] is nan"):
        rank_layers(REPLICATES, [0, 1, np.nan, 2])


def test_options_without_a_meaning_are_refused():
    for confidence in (0, 1, 95):
        with pytest.raises(ConfigError, match="a confidence lies between 0 and 1"):
            rank_layers(REPLICATES, ESTIMATE, confidence=confidence)


def test_too_few_replicates_for_the_confidence_are_refused():
    assert rank_layers(REPLICATES, ESTIMATE).rank.shape == (4,)
    with pytest.raises(ConfigError, match="at least 200 replicates; got 199"):
        rank_layers(REPLICATES[:199], ESTIMATE)
    with pytest.raises(ConfigError, match="at least 1000 replicates; got 200"):
        rank_layers(REPLICATES, ESTIMATE, confidence=0.99)
