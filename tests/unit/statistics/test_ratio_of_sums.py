"""The ratio of sums over items and its interval."""

import numpy as np
import pytest

from repdrift.core.confidence import student_quantile
from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.ratio_of_sums import ratio_of_sums


def test_ratio_is_that_of_the_sums():
    assert ratio_of_sums([1.0, 2.0], [2.0, 6.0]).ratio == 3 / 8


def test_interval_is_the_jackknife_written_out():
    g = np.random.default_rng(0)
    b = g.exponential(size=14)
    a = b * g.uniform(size=14)
    found = ratio_of_sums(a, b)
    left_out = np.array([np.delete(a, i).sum() / np.delete(b, i).sum() for i in range(14)])
    error = np.sqrt(13 / 14 * np.square(left_out - left_out.mean()).sum())
    reach = student_quantile(0.975, b.sum() ** 2 / np.square(b).sum() - 1) * error
    assert found.interval == pytest.approx((found.ratio - reach, found.ratio + reach))


def test_groups_are_left_out_whole():
    g = np.random.default_rng(1)
    a, b = g.uniform(size=30), g.uniform(1, 2, size=30)
    groups = np.repeat(np.arange(10), 3)
    by_group = ratio_of_sums(a, b, list(groups))
    of_sums = ratio_of_sums(a.reshape(10, 3).sum(1), b.reshape(10, 3).sum(1))
    assert by_group.n_groups == 10
    assert by_group.ratio == pytest.approx(of_sums.ratio)
    assert by_group.interval == pytest.approx(of_sums.interval)


def test_equal_ratios_have_an_interval_without_width():
    found = ratio_of_sums(np.zeros(12), np.arange(1.0, 13.0))
    assert found.ratio == 0
    assert found.interval == (0, 0)


def test_few_groups_have_no_interval():
    assert ratio_of_sums(np.ones(9), np.ones(9)).interval is None
    assert ratio_of_sums(np.ones(20), np.ones(20), [number % 9 for number in range(20)]).interval is None


def test_one_item_that_holds_everything_has_no_interval():
    found = ratio_of_sums([0.5] + [0.0] * 11, [1.0] + [0.0] * 11)
    assert found.largest_share == 1
    assert found.interval is None


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        ([1.0], [0.0], DegenerateInputError),
        ([1.0, 1.0], [2.0, -1.0], DegenerateInputError),
        ([1.0], [np.nan], NonFiniteError),
        ([1.0, 2.0], [1.0], ShapeError),
        ([], [], ShapeError),
    ],
)
def test_wrong_input_is_refused(a, b, error):
    with pytest.raises(error):
        ratio_of_sums(a, b)


def test_unequal_sizes_do_not_spoil_the_coverage():
    g = np.random.default_rng(2)
    hits, true = 0, 0.4  # the mean of the beta distribution, which does not depend on the size
    for _ in range(600):
        b = np.exp(1.3 * g.normal(size=15))
        found = ratio_of_sums(b * g.beta(2, 3, size=15), b).interval
        hits += found is not None and found.low <= true <= found.high
    assert 0.93 <= hits / 600 <= 0.985
