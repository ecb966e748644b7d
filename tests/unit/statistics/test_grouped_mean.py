import numpy as np
import pytest
from scipy import stats

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics import grouped_mean
from repdrift.statistics.grouped_mean import most_unseen


def test_ungrouped_interval_is_students():
    x = np.random.default_rng(0).normal(size=40)
    found = grouped_mean(x)
    expected = stats.t.interval(0.95, 39, loc=x.mean(), scale=stats.sem(x))
    assert found.interval == pytest.approx(expected)


def test_equal_groups_give_students_interval_of_their_means():
    x = np.random.default_rng(1).normal(size=(15, 4))
    found = grouped_mean(x.ravel(), np.repeat(np.arange(15), 4).tolist())
    means = x.mean(axis=1)
    assert found.interval == pytest.approx(stats.t.interval(0.95, 14, loc=means.mean(), scale=stats.sem(means)))


def test_order_of_rows_and_names_of_groups_do_not_matter():
    g = np.random.default_rng(2)
    x, groups, order = g.normal(size=60), g.integers(0, 12, 60), g.permutation(60)
    renamed = [f"paragraph {label}" for label in groups[order]]
    assert grouped_mean(x[order], renamed).interval == pytest.approx(grouped_mean(x, groups.tolist()).interval)


@pytest.mark.parametrize("sizes", ["equal", "unequal"])
@pytest.mark.parametrize("correlation", [0.1, 0.5])
def test_interval_covers_the_mean_where_groups_are_alike(sizes, correlation):
    g, hits, studies = np.random.default_rng(3), 0, 1500
    counts = np.full(20, 10) if sizes == "equal" else np.concatenate([np.full(4, 40), np.full(16, 3)])
    groups = np.repeat(np.arange(20), counts).tolist()
    for _ in range(studies):
        common = np.repeat(g.normal(size=20), counts)
        x = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * g.normal(size=len(common))
        interval = grouped_mean(x, groups).interval
        hits += interval is not None and interval.low <= 0 <= interval.high
    assert 0.93 <= hits / studies <= 0.985


@pytest.mark.parametrize("changed", [0.01, 0.03, 0.1, 0.5])
def test_answers_that_are_better_or_worse_by_chance_are_rarely_above_zero(changed):
    g, wrong, studies = np.random.default_rng(4), 0, 4000
    for _ in range(studies):
        found = grouped_mean(g.choice([-1, 0, 1], size=300, p=[changed / 2, 1 - changed, changed / 2]))
        wrong += found.interval is not None and found.interval.low > 0
    assert wrong / studies <= 0.035, "nominal: 0.025"


def test_values_without_spread_have_an_exact_interval():
    nothing = grouped_mean(np.zeros(30))
    assert nothing.interval is None, "that none of 30 differs does not show that none would"
    assert (
        nothing.missing == "no interval: none of 30 groups or items differs, and up to 9.5 % of others may (95 % limit)"
    )
    assert grouped_mean(np.full(30, 0.5)).interval == pytest.approx((0.5, 0.5))


def test_no_interval_of_few_groups_or_few_that_differ():
    assert grouped_mean(np.arange(9.0)).interval is None
    few = np.zeros(100)
    few[:5] = 1
    assert grouped_mean(few).interval is None
    assert grouped_mean(few).n_differing == 5


def test_weights_count_as_so_many_values_of_one_group():
    g = np.random.default_rng(6)
    x, weights = g.normal(size=24), g.integers(1, 6, 24)
    groups = np.repeat(np.arange(12), 2)
    weighted = grouped_mean(x, groups.tolist(), weights=weights)
    repeated = grouped_mean(np.repeat(x, weights), np.repeat(groups, weights).tolist())
    assert weighted.mean == pytest.approx(np.average(x, weights=weights))
    assert (weighted.mean, weighted.n_groups) == pytest.approx((repeated.mean, 12))
    assert weighted.interval == pytest.approx(repeated.interval)
    assert grouped_mean(x, weights=np.full(24, 3.0)).interval == pytest.approx(grouped_mean(x).interval)


@pytest.mark.parametrize("weights", [[1, 0, 2], [1, -1, 2], [1, np.nan, 2]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(NonFiniteError, match="1 of 3 weights are not above 0"):
        grouped_mean([1, 2, 3], weights=weights)


def test_wrong_input_is_refused():
    with pytest.raises(ShapeError, match="one for each of 3"):
        grouped_mean([1, 2, 3], weights=[1.0])
    with pytest.raises(ShapeError):
        grouped_mean([])
    with pytest.raises(ShapeError, match="one label for each of 3"):
        grouped_mean([1, 2, 3], ["a", "b"])
    with pytest.raises(NonFiniteError):
        grouped_mean([1, np.inf])


@pytest.mark.parametrize("n", [10, 30, 300])
def test_the_limit_of_a_share_that_was_not_seen_is_that_of_clopper_and_pearson(n):
    assert most_unseen(n) == pytest.approx(stats.binomtest(0, n, alternative="less").proportion_ci(0.95).high)
    assert most_unseen(n) == pytest.approx(3 / n, rel=0.15), "the rule of three"
