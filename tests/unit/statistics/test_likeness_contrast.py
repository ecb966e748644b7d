from itertools import permutations, product

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


@pytest.mark.parametrize("methods", [2, 3])
def test_in_blocks_labels_are_permuted_within_each_and_its_own_pairs_do_not_count(methods):
    labels = [label for label in "abc"[:methods] for _ in range(3)]
    seeds = [1, 2, 3] * methods
    values = table(2, 0.3, labels)
    values[np.array(seeds)[:, None] == np.array(seeds)[None, :]] = 1e6
    found = likeness_contrast(values, labels, blocks=seeds)
    pairs = [(i, j) for i in range(len(labels)) for j in range(i) if seeds[i] != seeds[j]]

    def statistic(given):
        within = [values[i, j] for i, j in pairs if given[i] == given[j]]
        between = [values[i, j] for i, j in pairs if given[i] != given[j]]
        return np.mean(within) - np.mean(between)

    null = []
    for orders in product(list(permutations("abc"[:methods])), repeat=3):
        given = [orders[seed - 1]["abc".index(label)] for seed, label in zip(seeds, labels, strict=True)]
        null.append(statistic(given))
    assert found.difference == pytest.approx(statistic(labels))
    assert found.pvalue == pytest.approx(np.mean(np.array(null) >= statistic(labels) - 1e-12))
    assert found.smallest_pvalue == pytest.approx({2: 2 / 8, 3: 6 / 216}[methods])
    clear = likeness_contrast(table(2, 100, labels), labels, blocks=seeds)
    assert clear.pvalue == clear.smallest_pvalue


def test_a_shared_seed_alone_is_not_taken_for_a_shared_method():
    """Adapters of one seed start alike whatever their method: with blocks, p is even all the same."""
    labels, seeds = ["a"] * 4 + ["b"] * 4, [1, 2, 3, 4] * 2
    shared = 5.0 * (np.array(seeds)[:, None] == np.array(seeds)[None, :])
    ps = np.array(
        [likeness_contrast(table(seed, 0, labels) + shared, labels, blocks=seeds).pvalue for seed in range(400)]
    )
    assert np.mean(ps <= 0.25) == pytest.approx(0.25, abs=0.06)


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
        with pytest.raises(DegenerateInputError, match="a pair of models of one label"):
            likeness_contrast(np.ones((2, 2)), labels)
