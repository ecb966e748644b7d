"""The difference of two methods' scores over models and items: pairing, groups, and few models."""

from typing import Any

import numpy as np
import pytest

from repdrift.core.errors import ShapeError
from repdrift.statistics import grouped_mean, mean_over_models, score_difference


def arms(models=3, n=60, seed=0, item=1.0, own=0.3, model=0.05) -> Any:
    g = np.random.default_rng(seed)
    hard = item * g.normal(size=n)
    return [
        hard + model * g.normal(size=(models, 1)) + own * g.normal(size=(models, n)) + level for level in (0.2, 0.0)
    ]


def test_items_that_are_hard_for_all_models_do_not_widen_the_interval():
    easy, hard = (score_difference(*arms(item=size)) for size in (0.0, 10.0))
    assert easy.difference == pytest.approx(hard.difference)
    assert easy.interval == pytest.approx(hard.interval)
    assert easy.over == "models and items"


def test_one_method_against_a_constant_is_the_mean_over_models():
    first, _ = arms(own=0.0)
    other = np.zeros((3, first.shape[1]))
    found, alone = score_difference(first, other), mean_over_models(first)
    assert found.difference == pytest.approx(alone.mean)
    assert found.interval == pytest.approx(alone.interval)


def test_two_models_have_an_interval_over_items_alone():
    first, second = arms(models=2)
    found = score_difference(first, second)
    assert found.over == "items, for these models"
    assert found.interval == grouped_mean(first.mean(axis=0) - second.mean(axis=0)).interval


def test_whole_groups_are_drawn_and_few_groups_have_no_interval():
    first, second = (np.repeat(x, 5, axis=1) for x in arms())
    groups = np.repeat(np.arange(60), 5).tolist()
    grouped, plain = score_difference(first, second, groups), score_difference(*arms())
    assert grouped.n_groups == 60
    assert grouped.interval == pytest.approx(plain.interval), "copies of items in groups are no further evidence"
    few = score_difference(first, second, (np.arange(300) // 60).tolist())
    assert few.interval is None
    assert few.missing


def test_other_items_are_refused():
    with pytest.raises(ShapeError, match="the same items"):
        score_difference(np.zeros((3, 5)), np.zeros((3, 6)))
