"""Groups of samples beside the rest, agreement of models on samples, and which samples stand out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, spearmanr

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics.group_ratio import group_ratio
from repdrift.statistics.rank_agreement import rank_agreement
from repdrift.statistics.standing_out import excess_scores, score_limit


def left_out_in_turn(shares: np.ndarray) -> np.ndarray:
    without = np.tile(shares, (len(shares), 1))
    np.fill_diagonal(without, np.nan)
    return without


def test_ratio_and_its_interval_are_those_of_the_delta_method() -> None:
    generator = np.random.default_rng(0)
    shares = generator.lognormal(0, 0.4, 4000)
    member = np.arange(4000) < 1500
    found = group_ratio(shares, member, left_out_in_turn(shares))
    inside, rest = shares[member], shares[~member]
    assert found.ratio == pytest.approx(inside.mean() / rest.mean())
    error = np.sqrt(sum(np.square(side.std(ddof=1) / side.mean()) / side.size for side in (inside, rest)))
    assert found.interval is not None
    assert np.log(found.interval.high / found.interval.low) == pytest.approx(2 * 1.96 * error, rel=0.01)


def test_equal_groups_are_told_apart_as_often_as_the_level_says() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        shares = generator.lognormal(0, 0.5, 60)
        found = group_ratio(shares, np.arange(60) < 20, left_out_in_turn(shares))
        assert found.pvalue is not None
        hits += found.pvalue < 0.05
    assert 4 <= hits <= 36  # 20 expected


@pytest.mark.parametrize(
    ("member", "reason"),
    [([0] * 20, "all samples, or none"), ([1] * 3 + [0] * 17, "one side has 3 samples"), ([1] * 6 + [0] * 14, "")],
)
def test_a_group_without_an_interval_says_why(member: list[int], reason: str) -> None:
    shares = np.arange(1.0, 21.0)
    found = group_ratio(shares, member, left_out_in_turn(shares))
    assert found.missing.startswith(reason)
    assert (found.interval is None) == bool(reason)


def test_samples_that_are_left_out_together_give_no_interval() -> None:
    shares = np.arange(1.0, 21.0)
    without = np.tile(shares, (2, 1))
    without[0, :6] = np.nan
    without[1, 6:] = np.nan
    assert "belong together" in group_ratio(shares, np.arange(20) < 6, without).missing
    assert "did not move" in group_ratio(np.zeros(20), np.arange(20) < 6).missing
    with pytest.raises(ShapeError):
        group_ratio(shares, [True])


def test_agreement_is_kendalls_w() -> None:
    values = np.random.default_rng(0).normal(size=(4, 30)) + np.linspace(0, 2, 30)
    values[0, :4] = values[0, 0]  # ties
    found = rank_agreement(values, draws=199)
    assert found is not None
    chi2 = friedmanchisquare(*values.T).statistic  # Friedman's statistic of units as treatments is m (n - 1) W
    assert found.w == pytest.approx(chi2 / (4 * 29))
    pairs = [spearmanr(values[i], values[j]).statistic for i in range(4) for j in range(i)]
    assert found.correlation == pytest.approx(np.mean(pairs))
    assert found.pvalue == 1 / 200


def test_models_that_do_not_agree_are_not_said_to() -> None:
    generator = np.random.default_rng(3)
    pvalues = [rank_agreement(generator.normal(size=(3, 40)), draws=99, seed=i).pvalue for i in range(60)]  # pyright: ignore[reportOptionalMemberAccess]
    assert 0.3 < np.mean(pvalues) < 0.7
    assert rank_agreement(np.ones((2, 5))) is None
    with pytest.raises(NonFiniteError):
        rank_agreement([[1, 2, np.nan], [1, 2, 3]])
    with pytest.raises(ShapeError):
        rank_agreement([[1, 2, 3]])


def test_a_share_is_held_against_that_of_samples_of_its_weight() -> None:
    generator = np.random.default_rng(0)
    weights = generator.lognormal(0, 1, 200)
    shares = weights**0.8 * generator.lognormal(0, 0.1, 200)
    assert not (excess_scores(shares, weights) > score_limit(200)).any()
    shares[7] *= 2  # still smaller than many
    assert np.flatnonzero(excess_scores(shares, weights) > score_limit(200)).tolist() == [7]


def test_none_stands_out_among_few_or_equal_samples() -> None:
    assert score_limit(19) == np.inf
    assert (excess_scores(np.ones(30), np.ones(30)) == 0).all()
    assert (excess_scores(np.zeros(30), np.ones(30)) == -np.inf).all()
    nearly_none = np.full(30, 1e-30)
    nearly_none[3] = 1e-20
    assert (excess_scores(nearly_none, np.ones(30), floor=1e-9) == 0).all()
    nearly_none[3] = 1e-3
    assert excess_scores(nearly_none, np.ones(30), floor=1e-9)[3] > 100
    normal, longer = np.random.default_rng(0).normal(size=4000), np.random.default_rng(0).standard_t(3, size=4000)
    assert score_limit(100, by_chance=[normal]) == pytest.approx(score_limit(100), rel=0.05)
    assert score_limit(100, by_chance=[longer[:2000], longer[2000:]]) > 1.5 * score_limit(100)
    assert score_limit(100, by_chance=[normal[:5]]) == score_limit(100)
    assert score_limit(100, tests=10) > score_limit(100)
