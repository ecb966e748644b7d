"""Power against quadrature, study-by-study tests and the corrections it plans for."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from repdrift.statistics import holm, label_permutation_test, smallest_reachable_pvalue
from repdrift.statistics.column_differences import column_differences
from repdrift.statistics.design_power import models_needed, samples_needed, unreachable

SPREAD = 0.2
PILOT = (np.exp([-SPREAD, 0.0, SPREAD]), 0.7 * np.exp([-SPREAD, 0.0, SPREAD]))  # pooled SD of log drift: SPREAD, 4 df


def _separation(n, effect):
    """P(every one of n normal values lies below every one of n others whose mean is `effect` SDs higher)."""
    x = np.linspace(-8, 8, 801)
    density = n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1)
    return integrate.simpson(density * stats.norm.sf(x - effect) ** n, x=x)


def _binomial(rate, trials):
    return stats.binom.ppf([0.0005, 0.9995], trials, rate) / trials


@pytest.mark.parametrize(("reduction", "margin"), [(0.3, 0.0), (0.5, 0.2)])
def test_power_of_three_against_three_is_that_of_complete_separation(reduction, margin):
    """At 0.05 only the least p, 1/20, rejects."""
    found = models_needed(
        *PILOT, reduction=reduction, margin=margin, n_models=[3], uncertain_spread=False, n_simulations=4000
    )
    assert found.spread == pytest.approx((SPREAD,))
    assert found.degrees_of_freedom == (4,)
    exact = _separation(3, -math.log((1 - reduction) / (1 - margin)) / SPREAD)
    low, high = _binomial(exact, 4000)
    assert low <= found.designs[0].power <= high
    assert found.designs[0].error == pytest.approx(math.sqrt(exact * (1 - exact) / 4000), rel=0.1)


def test_uncertain_spread_averages_power_over_what_the_pilot_leaves_possible():
    effect = -math.log(0.6)
    grid = stats.chi2(4).ppf((np.arange(400) + 0.5) / 400)  # variance = SPREAD^2 df / chi^2
    exact = np.mean([_separation(3, effect / (SPREAD * math.sqrt(4 / c))) for c in grid])
    known = _separation(3, effect / SPREAD)
    found = models_needed(*PILOT, reduction=0.4, n_models=[3], n_simulations=4000)
    low, high = _binomial(exact, 4000)
    assert low <= found.designs[0].power <= high
    assert exact < known - 0.05, "the cases differ, so that the test can tell"


@pytest.mark.parametrize("n_permutations", [20_000, 300])
def test_each_study_is_tested_by_the_label_permutation_test(n_permutations):
    g = np.random.default_rng(1)
    strata = [*"xxxxyyyyxxxxyyyy"]
    a, b = np.exp(g.normal(size=(8, 30)) - 0.5), np.exp(g.normal(size=(8, 30)))
    table = column_differences(a, b, strata=strata, standardise=False, n_permutations=n_permutations, seed=2)
    expected = [
        label_permutation_test(x, y, strata=strata, n_permutations=n_permutations, seed=2).pvalue
        for x, y in zip(a.T, b.T, strict=True)
    ]
    assert table.pvalues("less") == pytest.approx(expected, rel=1e-12)


def test_power_over_tasks_is_that_of_simulating_them_one_by_one():
    g = np.random.default_rng(2)
    level, spread = np.repeat([1.0, 0.1], 3), np.repeat([0.3, 0.6], 3)
    strata = [*"aaabbb"] * 2
    shape = np.tile([-1.0, 0.0, 1.0], 2)
    pilot = level * np.exp(spread * shape)
    found = models_needed(pilot, pilot, strata=strata, reduction=0.4, n_models=[3], uncertain_spread=False)
    assert found.spread == pytest.approx((0.3, 0.6))
    hits, trials = 0, 1000
    for _ in range(trials):
        full, lora = (r * level * np.exp(spread * g.normal(size=6)) for r in (1, 0.6))
        hits += label_permutation_test(np.log(lora), np.log(full), strata=strata).pvalue <= 0.05
    rate = (hits + found.designs[0].power * 1000) / (trials + 1000)
    assert abs(hits / trials - found.designs[0].power) <= 3.3 * math.sqrt(rate * (1 - rate) * 2 / 1000)
    assert 0.1 < rate < 0.95


def test_reduction_at_the_margin_is_found_at_the_nominal_rate():
    found = models_needed(*PILOT, reduction=0.2 + 1e-9, margin=0.2, n_models=[3, 4, 5], n_simulations=2000)
    for design, attainable in zip(found.designs, [1 / 20, 3 / 70, 12 / 252], strict=True):
        low, high = _binomial(attainable, 2000)
        assert low <= design.power <= high


def test_needed_is_the_first_design_at_the_target():
    found = models_needed(*PILOT, reduction=0.35, n_simulations=500)
    reached = [d.n_models for d in found.designs if d.power >= 0.8]
    assert found.needed == reached[0] > 3
    assert [d.n_models for d in found.designs] == list(range(2, 13))
    assert models_needed(*PILOT, reduction=0.05, n_models=[3, 4], n_simulations=200).needed is None


def test_design_that_cannot_reach_alpha_has_no_power_and_needs_no_simulation():
    found = models_needed(*PILOT, reduction=0.9, n_models=[1, 2, 3], n_tests=10, n_simulations=10**9)
    assert [(d.power, d.error) for d in found.designs] == [(0, 0)] * 3
    assert [d.smallest_pvalue for d in found.designs] == pytest.approx([1 / 2, 1 / 6, 1 / 20])


def test_more_tests_ask_for_more():
    one, ten = (
        models_needed(*PILOT, reduction=0.4, n_models=[5], n_tests=n, n_simulations=500).designs[0].power
        for n in (1, 10)
    )
    assert ten < one - 0.1


def test_random_arrangements_cost_hardly_any_power():
    strata, options = [*"aaabbb"] * 2, {"reduction": 0.35, "n_models": [4], "n_simulations": 1000}
    pilot = np.tile(PILOT[0], 2), np.tile(PILOT[1], 2)
    exact = models_needed(*pilot, strata=strata, **options).designs[0]
    drawn = models_needed(*pilot, strata=strata, n_permutations=2000, **options).designs[0]
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.smallest_pvalue == exact.smallest_pvalue == pytest.approx(70.0**-2)
    assert drawn.power == pytest.approx(exact.power, abs=0.02)  # the same simulated studies


def test_same_seed_same_power_whatever_else_is_asked():
    alone = models_needed(*PILOT, reduction=0.3, n_models=[4], n_simulations=300).designs[0]
    among = models_needed(*PILOT, reduction=0.3, n_models=[5, 4, 3], n_simulations=300).designs
    assert among[1] == alone
    assert alone != models_needed(*PILOT, reduction=0.3, n_models=[4], n_simulations=300, seed=1).designs[0]


@pytest.mark.parametrize("sizes", [[(2, 2)], [(3, 3)], [(4, 3)], [(3, 3)] * 2, [(3, 3)] * 4])
@pytest.mark.parametrize("n_tests", [1, 2, 24])
def test_unreachable_is_what_holm_leaves_of_the_least_pvalue(sizes, n_tests):
    best = holm([smallest_reachable_pvalue(sizes)] * n_tests).min()
    assert (unreachable(sizes, n_tests=n_tests) is not None) == (best > 0.05)


def test_unreachable_two_sided_counts_the_mirror_image_only_where_there_is_one():
    assert unreachable([(3, 3)]) is None
    assert "no data give a p below 0.1;" in str(unreachable([(3, 3)], alternative="two-sided"))
    assert unreachable([(4, 3)], alternative="two-sided") is None
    assert str(unreachable([(3, 3), (4, 3)], n_tests=48)) == (
        "3 against 3, 4 against 3: no data give a p below 0.00143, or 0.0686 after correction for 48 tests; alpha is 0.05"
    )


@pytest.mark.parametrize(
    ("half_width", "n", "target"), [(0.1, 100, 0.05), (0.03, 750, 0.01), (0.1, 100, 0.3), (0.2, 50, 0.2)]
)
def test_samples_are_the_fewest_whose_half_width_is_within_the_target(half_width, n, target):
    needed = samples_needed(half_width, n, target=target)
    assert half_width * math.sqrt(n / needed) <= target * (1 + 1e-9)
    assert needed == 1 or half_width * math.sqrt(n / (needed - 1)) > target
