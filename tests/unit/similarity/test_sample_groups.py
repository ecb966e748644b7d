"""Whole groups of samples in parts of nearly equal size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repdrift.core.errors import ConfigError
from repdrift.similarity.uncertainty.sample_groups import degrees_of_freedom, group_numbers, group_parts


@given(st.lists(st.integers(0, 30), min_size=4, max_size=120), st.integers(2, 12), st.integers(0, 5))
def test_groups_are_never_split_and_no_part_is_empty(groups, most, seed):
    n_groups = len(set(groups))
    if n_groups < 2:
        with pytest.raises(ConfigError, match="at least 2 groups"):
            group_parts(groups, most, seed=seed)
        return
    parts = group_parts(groups, most, seed=seed)
    assert all(
        len({p for p, g in zip(parts.tolist(), groups, strict=True) if g == group}) == 1 for group in set(groups)
    )
    assert set(parts.tolist()) == set(range(min(most, n_groups)))
    # No part is larger than the smallest by more than its last group.
    sizes = np.bincount(parts)
    assert sizes.max() - sizes.min() <= np.bincount(group_numbers(groups)).max()


def test_few_groups_are_parts_of_their_own_in_order_of_appearance():
    assert group_parts(["b", "b", "a", "c", "a"], 40, seed=0).tolist() == [0, 0, 1, 2, 1]


def test_degrees_of_freedom_are_those_of_groups_of_equal_size():
    assert degrees_of_freedom(np.repeat(np.arange(12), 5)) == pytest.approx(11)
    one_large = np.repeat(np.arange(12), [89, *[1] * 11])
    assert degrees_of_freedom(one_large) == 1.0, "twelve groups, of which one is nearly everything, are worth one"
    assert degrees_of_freedom(np.repeat([0, 1, 2, 3], [4, 4, 2, 2])) == pytest.approx(144 / 40 - 1)
