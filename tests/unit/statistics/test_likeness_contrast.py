from itertools import permutations

import numpy as np
import pytest

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.statistics.likeness_contrast import likeness_contrast

LABELS = ["full", "full", "full", "lora", "lora", "lora"]


def table(seed, bonus=0.0, labels=LABELS):
    values = np.random.default_rng(seed).normal(size=(len(labels), len(labels)))
    same = np.array(labels)[:, None] == np.array(labels)[None, :]
    return (values + values.T) / 2 + bonus * same


@pytest.mark.parametrize("labels", [LABELS, ["a", "a", "b", "b", "c"], ["a", "a", "a", "b"]])
def test_p_is_that_of_all_orders_of_the_labels(labels):
    values = table(1, 0.5, labels)

    def statistic(given):
        pairs = [(i, j) for i in range(len(given)) for j in range(i)]
        within = [values[i, j] for i, j in pairs if given[i] == given[j]]
        between = [values[i, j] for i, j in pairs if given[i] != given[j]]
        return np.mean(within) - np.mean(between)

    found = likeness_contrast(values, labels)
    observed = statistic(labels)
    null = [statistic(order) for order in permutations(labels)]
    assert found.difference == pytest.approx(observed)
    assert found.pvalue == pytest.approx(np.mean(np.array(null) >= observed - 1e-12))


def test_smallest_p_counts_labels_that_can_be_exchanged_whole():
    clear = likeness_contrast(table(0, 100), LABELS)
    assert clear.pvalue == clear.smallest_pvalue == pytest.approx(2 / 20)
    uneven = likeness_contrast(table(0, 100, LABELS[1:]), LABELS[1:])
    assert uneven.pvalue == uneven.smallest_pvalue == pytest.approx(1 / 10)


def test_many_models_are_permuted_at_random_and_null_p_values_are_even():
    labels = ["a"] * 9 + ["b"] * 9
    found = likeness_contrast(table(0, 10, labels), labels)
    assert not found.exact
    assert (
        found.smallest_pvalue == 1 / 20_001 <= found.pvalue < 1e-3
    )  # the labels exchanged whole may be among those drawn
    ps = [likeness_contrast(table(seed), LABELS).pvalue for seed in range(300)]
    assert np.mean(np.array(ps) <= 0.2) == pytest.approx(0.2, abs=0.06)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ShapeError, match="6 x 6"):
        likeness_contrast(np.ones((5, 5)), LABELS)
    with pytest.raises(NonFiniteError, match="leave a model out"):
        likeness_contrast(np.full((6, 6), np.nan), LABELS)
    for labels in (["a", "a"], ["a", "b"]):
        with pytest.raises(DegenerateInputError, match="two labels"):
            likeness_contrast(np.ones((2, 2)), labels)
