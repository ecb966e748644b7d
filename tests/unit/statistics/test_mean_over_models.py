import numpy as np
import pytest

from repdrift.core.errors import ShapeError
from repdrift.statistics import grouped_mean, mean_over_models


@pytest.mark.parametrize("models", [3, 5])
@pytest.mark.parametrize(
    ("between", "common", "own"), [(1.0, 0.0, 1.0), (0.0, 2.0, 1.0), (0.3, 2.0, 2.0), (0.0, 0.0, 1.0)]
)
def test_interval_over_models_and_items_covers(models, between, common, own):
    """Noise of models, of items that all models share, and of each model on each item: 95 % intervals miss 5 %, or fewer."""
    g, hits, studies, n = np.random.default_rng(0), 0, 600, 40
    for _ in range(studies):
        values = (
            0.3 * between * g.normal(size=(models, 1)) + common * g.normal(size=n) + own * g.normal(size=(models, n))
        )
        found = mean_over_models(values)
        assert found.over == "models and items"
        hits += found.interval.low <= 0 <= found.interval.high
    assert hits / studies >= 0.915


def test_items_alone_would_be_too_narrow_where_models_differ():
    g, hits = np.random.default_rng(1), 0
    for _ in range(300):
        values = g.normal(size=(3, 1)) + 0.5 * g.normal(size=(3, 40))
        interval = grouped_mean(values.mean(axis=0)).interval
        hits += interval.low <= 0 <= interval.high
    assert hits / 300 < 0.5


def test_one_or_two_models_have_an_interval_over_items_that_says_so():
    values = np.random.default_rng(2).normal(size=(2, 30))
    found = mean_over_models(values)
    assert found.over == "items, for these models"
    assert found.interval == grouped_mean(values.mean(axis=0)).interval
    assert mean_over_models(values[:1]).interval == grouped_mean(values[0]).interval


def test_groups_and_weights_are_those_of_the_grouped_mean():
    g = np.random.default_rng(3)
    values, groups, weights = g.normal(size=(1, 60)), g.integers(0, 12, 60).tolist(), g.integers(1, 9, 60)
    expected = grouped_mean(values[0], groups, weights=weights)
    found = mean_over_models(values, groups, weights=weights)
    assert (found.mean, found.interval, found.n_groups) == (expected.mean, expected.interval, expected.n_groups)


def test_models_that_change_nothing_have_exactly_zero():
    found = mean_over_models(np.zeros((3, 20)))
    assert (found.mean, found.interval) == (0.0, None)
    assert "none of 20 groups or items differs, and up to 14 % of others may" in found.missing


def test_too_few_items_have_no_interval_and_the_reason():
    assert "8 groups or items" in mean_over_models(np.ones((3, 8))).missing
    few = np.zeros((3, 40))
    few[:, :2] = 1
    assert "2 of 40 groups or items differ" in mean_over_models(few).missing


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match="models, items"):
        mean_over_models([1.0, 2.0])
