import numpy as np
import pytest

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.profiles import profile_similarity

G = np.random.default_rng(0)
A, B = G.normal(size=(2, 6))
DRAWN_A, DRAWN_B = A + 0.01 * G.normal(size=(400, 6)), B + 0.01 * G.normal(size=(400, 6))


def test_profiles_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="a has 6, b has 5"):
        profile_similarity(A, B[:5])
    with pytest.raises(ShapeError, match="at least 3"):
        profile_similarity(A[:2], B[:2])
    with pytest.raises(DegenerateInputError, match="a profile is constant over layers"):
        profile_similarity(A, np.ones(6))
    with pytest.raises(NonFiniteError, match=r"b\[0\] is nan"):
        profile_similarity(A, [np.nan, *B[1:]])


def test_replicates_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="replicates of both"):
        profile_similarity(A, B, replicates_a=DRAWN_A)
    with pytest.raises(ShapeError, match=r"\(400, 6\) and \(399, 6\)"):
        profile_similarity(A, B, replicates_a=DRAWN_A, replicates_b=DRAWN_B[:399])
    with pytest.raises(ConfigError, match="at least 400 replicates; got 399"):
        profile_similarity(A, B, replicates_a=DRAWN_A[:399], replicates_b=DRAWN_B[:399])
    with pytest.raises(DegenerateInputError, match="a replicate is constant"):
        profile_similarity(A, B, replicates_a=np.ones((400, 6)), replicates_b=DRAWN_B)
    with pytest.raises(NonFiniteError, match="replicates_b"):
        profile_similarity(A, B, replicates_a=DRAWN_A, replicates_b=DRAWN_B * np.inf)


def test_no_interval_has_a_reason():
    bare = profile_similarity(A, B)
    assert bare.pearson.missing == bare.spearman.missing == "an interval needs replicates"
    same = profile_similarity(A, 2 * A, replicates_a=DRAWN_A, replicates_b=2 * DRAWN_A)
    assert (same.pearson.low, same.pearson.estimate) == (None, pytest.approx(1))
    assert "without exception" in same.spearman.missing
    full = profile_similarity(A, B, replicates_a=DRAWN_A, replicates_b=DRAWN_B)
    assert full.pearson.missing is None
    assert full.pearson.low < full.pearson.estimate < full.pearson.high
