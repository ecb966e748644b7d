"""Values of which all but a few are the same, whose interval would have next to no width."""

import numpy as np
import pytest

from repdrift.core.confidence import Interval
from repdrift.statistics import within_share, without_spread


@pytest.mark.parametrize(
    ("values", "groups", "of_differences", "said"),
    [
        ([0.5] * 20, None, False, "no interval: all items have the same value"),
        ([-1.0] * 20, None, True, "no interval: all items differ by the same"),
        ([-1.0] * 15 + [0.0] * 5, None, True, "no interval: all items but 5 differ by the same"),
        ([-1.0] * 14 + [0.0] * 6, None, True, ""),
        ([0.0] * 19 + [1.0], None, True, ""),
        ([0.0] * 19 + [1.0], None, False, "no interval: all items but 1 have the same value"),
        ([1.0] * 12 + [0.0] * 8, list("abcdefghijkl") + ["x"] * 8, False, "no interval: all items but 1 have the same value"),
        (np.arange(20.0), None, False, ""),
        ([[0.0, 1.0] * 10, [1.0, 0.0] * 10], None, False, "no interval: all items have the same value"),
    ],
)  # fmt: skip
def test_values_without_spread_say_so(values, groups, of_differences, said):
    assert without_spread(values, groups, of_differences=of_differences) == said


def test_the_interval_of_a_share_ends_where_shares_end():
    assert within_share(Interval(-0.1, 1.2)) == Interval(0.0, 1.0)
    assert within_share(Interval(0.2, 0.3)) == Interval(0.2, 0.3)
