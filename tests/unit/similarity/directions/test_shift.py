"""Size and likeness of mean differences against float64 numpy, on planted shifts, and where there is none."""

import math

import numpy as np
import pytest
import torch

from repdrift.core.confidence import Interval, student_quantile
from repdrift.core.errors import DataError, DegenerateInputError, NonFiniteError, ShapeError
from repdrift.similarity.directions.differences import differences, direction_cosine, mean_difference
from repdrift.similarity.directions.likeness import likeness_of_shifts
from repdrift.similarity.directions.shift import mean_shift, unit_products


def rows(n, p, seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(n, p))


def there(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def debiased(d, units):
    """Mean of Di'Dj over pairs of different units, pair by pair."""
    total, pairs = 0.0, 0
    for i in range(len(d)):
        for j in range(len(d)):
            if units[i] != units[j]:
                total += d[i] @ d[j]
                pairs += 1
    return total / pairs


@pytest.mark.parametrize(("n", "p"), [(12, 30), (30, 4)])
@pytest.mark.parametrize("grouped", [False, True])
def test_size_and_interval_agree_with_pairs_and_leaving_out_one_by_one(n, p, grouped):
    x = rows(n, p, 1) + 100
    y = x + 0.3 + rows(n, p, 2, 0.5)
    units = [int(i**0.8) for i in range(n)] if grouped else list(range(n))
    found = mean_shift(differences(x, y, units if grouped else None))
    d = y - x
    expected = debiased(d, units)
    assert found.norm == pytest.approx(np.linalg.norm(d.mean(axis=0)))
    assert found.squared == pytest.approx(expected)
    assert found.noise == pytest.approx(math.sqrt(found.norm**2 - expected))
    if not grouped:
        assert found.noise == pytest.approx(math.sqrt(np.trace(np.cov(d.T)) / n))
    spread = np.square(x - x.mean(axis=0)).sum() / n
    assert found.spread == pytest.approx(math.sqrt(spread))
    left, ratios, sizes = [], [], np.bincount(units)
    for unit in set(units):
        kept = np.array(units) != unit
        value = debiased(d[kept], np.array(units)[kept])
        left.append(value)
        ratios.append(value / (np.square(x[kept] - x[kept].mean(axis=0)).sum() / kept.sum()))
    m = len(left)
    freedom = n**2 / np.square(sizes).sum() - 1
    for given, value, without in (
        (found.squared_interval, expected, np.array(left)),
        (found.relative_squared_interval, expected / spread, np.array(ratios)),
    ):
        interval = there(given)
        reach = student_quantile(0.975, freedom) * math.sqrt((m - 1) / m * np.square(without - without.mean()).sum())
        assert (interval.low, interval.high) == pytest.approx((value - reach, value + reach))


def test_mean_difference_is_the_mean_and_float16_is_taken_exactly():
    x, y = rows(20, 6, 3).astype(np.float16), rows(20, 6, 4).astype(np.float16)
    expected = (y.astype(np.float64) - x.astype(np.float64)).mean(axis=0)
    np.testing.assert_allclose(mean_difference(x, y).numpy(), expected, rtol=1e-12)


def test_without_a_shift_the_debiased_square_is_0_on_average_and_its_interval_covers_0():
    covered, values, norms = [], [], []
    for seed in range(200):
        x = rows(30, 50, seed)
        found = mean_shift(differences(x, x + rows(30, 50, 1000 + seed)))
        values.append(found.squared / found.noise**2)
        norms.append(found.norm / found.noise)
        covered.append(there(found.squared_interval).low <= 0 <= there(found.squared_interval).high)
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(200)
    assert 0.95 < np.mean(norms) < 1.05
    assert np.mean(covered) > 0.93
    assert 0.3 < np.mean(np.array(values) < 0) < 0.7


def test_interval_covers_a_planted_shift():
    shift = np.full(40, 0.15)
    covered = []
    for seed in range(200):
        x = rows(40, 40, seed)
        found = mean_shift(differences(x, x + shift + rows(40, 40, 1000 + seed)))
        covered.append(there(found.interval).low <= np.linalg.norm(shift) <= there(found.interval).high)
    assert 0.9 < np.mean(covered) < 0.99


def test_shift_no_larger_than_noise_has_no_size_but_keeps_its_sign():
    d = np.repeat(np.eye(4), 2, axis=0) * np.array([1, -1] * 4)[:, None]
    x = rows(8, 4, 5)
    found = mean_shift(differences(x, x + d))
    assert found.squared < 0
    assert found.size is None
    assert found.relative_size is None
    assert found.norm == pytest.approx(0, abs=1e-15)


def test_identical_rows_have_a_shift_of_exactly_zero():
    x = rows(10, 5, 6)
    d = differences(x, x.copy())
    found = mean_shift(d)
    assert d.are_zero
    assert (found.norm, found.squared, found.noise) == (0.0, 0.0, 0.0)
    with pytest.raises(DegenerateInputError, match="no direction"):
        direction_cosine(d.mean, torch.ones(5, dtype=torch.float64))


def test_pure_shift_has_exactly_its_norm_and_equal_ends():
    x, shift = rows(10, 5, 7), np.arange(5.0)
    found = mean_shift(differences(x, x + shift))
    assert found.size == pytest.approx(np.linalg.norm(shift))
    assert there(found.interval).low == pytest.approx(there(found.interval).high)
    assert found.noise == pytest.approx(0, abs=1e-6)


def test_faults_are_refused():
    x = rows(8, 5, 8)
    with pytest.raises(ShapeError, match="5 and 4"):
        differences(x, x[:, :4])
    with pytest.raises(ShapeError, match="8 and 7"):
        differences(x, x[:7])
    with pytest.raises(ShapeError, match="each of 8 rows, got 3"):
        differences(x, x, ["a"] * 3)
    with pytest.raises(NonFiniteError):
        differences(x, np.where(x > 1, np.nan, x))
    with pytest.raises(DegenerateInputError, match="one group"):
        mean_shift(differences(x, x + 1, ["a"] * 8))


def test_products_are_those_of_group_sums():
    x, groups = rows(9, 5, 9), ["a", "b", "a", "c", "c", "a", "b", "b", "a"]
    y = rows(9, 5, 10)
    sums = np.stack([(y - x)[[g == name for g in groups]].sum(axis=0) for name in "abc"])
    np.testing.assert_allclose(unit_products(differences(x, y, groups)), sums @ sums.T, rtol=1e-12)


def test_likeness_of_shifts_is_freed_from_noise_that_models_share():
    # The two shifts are at right angles; what the samples do, they do in both models.
    plain, unbiased = [], []
    for seed in range(60):
        x, shared = rows(30, 60, seed), rows(30, 60, 500 + seed, 2.0)
        first, second = np.zeros(60), np.zeros(60)
        first[0] = second[1] = 4.0
        found = likeness_of_shifts(differences(x, x + first + shared), differences(x, x + second + shared))
        plain.append(found.cosine)
        unbiased.append(found.unbiased)
    found = [value for value in unbiased if value is not None]
    assert np.mean(plain) > 0.25
    assert abs(np.median(found)) < 0.15


def test_likeness_agrees_with_pairs_and_leaving_out_one_by_one():
    x, n = rows(14, 6, 11), 14
    d, e = 0.7 + rows(n, 6, 12), 0.5 + rows(n, 6, 13)
    found = likeness_of_shifts(differences(x, x + d), differences(x, x + e))

    def value(keep):
        a, b = d[keep], e[keep]
        pairs = [[a[i] @ b[j] for j in range(len(a)) if i != j] for i in range(len(a))]
        return np.mean(pairs) / math.sqrt(debiased(a, range(len(a))) * debiased(b, range(len(b))))

    assert found.unbiased == pytest.approx(value(np.arange(n)))
    assert found.cosine == pytest.approx(d.mean(0) @ e.mean(0) / np.linalg.norm(d.mean(0)) / np.linalg.norm(e.mean(0)))
    left = np.array([value(np.arange(n) != i) for i in range(n)])
    reach = student_quantile(0.975, n - 1) * math.sqrt((n - 1) / n * np.square(left - left.mean()).sum())
    assert there(found.interval).high - value(np.arange(n)) == pytest.approx(reach)


@pytest.mark.parametrize(("n", "p"), [(40, 8), (20, 60)])
def test_unrelated_shifts_exceed_chance_about_as_often_as_said(n, p):
    beyond = 0
    stretch = np.linspace(3, 0.1, p)
    for seed in range(200):
        x = rows(n, p, seed)
        a, b = rows(n, p, 1000 + seed) * stretch, rows(n, p, 2000 + seed) * stretch
        beyond += likeness_of_shifts(differences(x, x + a), differences(x, x + b)).beyond_chance
    assert beyond / 200 < 0.1


def test_one_direction_is_found_to_be_one():
    x = rows(25, 10, 14)
    found = likeness_of_shifts(
        differences(x, x + 1 + rows(25, 10, 15, 0.1)), differences(x, x + 2 + rows(25, 10, 16, 0.1))
    )
    assert found.beyond_chance
    assert there(found.interval).low < 1 < there(found.interval).high + 0.01
    with pytest.raises(ShapeError, match="same samples"):
        likeness_of_shifts(differences(x, x + 1), differences(x[:20], x[:20] + 1))


def test_many_units_are_put_together_whole_so_that_the_products_fit_into_memory():
    x, groups = rows(60, 4, 21), [k // 2 for k in range(60)]
    d = differences(x, x + rows(60, 4, 22), groups)
    products = unit_products(d, most=7)
    assert products.shape == (7, 7)
    assert products.sum() == pytest.approx(float(d.rows.sum(dim=0).square().sum()))
    np.testing.assert_array_equal(products, unit_products(d, most=7))


def test_numbers_whose_products_would_leave_float64_are_refused():
    x = rows(8, 5, 23)
    with pytest.raises(DataError, match="too large"):
        differences(x * 1e80, x)
    small = mean_shift(differences((x * 1e-30).astype(np.float32), ((x + 1) * 1e-30).astype(np.float32)))
    assert small.norm == pytest.approx(1e-30 * np.sqrt(5), rel=1e-5)


def test_likeness_of_shifts_that_are_hardly_more_than_noise_has_no_number_without_noise():
    found = []
    for seed in range(60):
        x = rows(12, 20, seed)
        likeness = likeness_of_shifts(
            differences(x, x + rows(12, 20, 100 + seed)), differences(x, x + rows(12, 20, 200 + seed))
        )
        found.append(likeness.unbiased)
        assert (likeness.interval is None) == (likeness.unbiased is None)
    assert sum(value is None for value in found) > 30
    assert all(abs(value) < 3 for value in found if value is not None)
