import numpy as np
import pytest

from repdrift.core.errors import ConfigError
from repdrift.statistics.arrangements import (
    by_stratum,
    label_arrangements,
    label_contrasts,
    least_pvalue,
    null_differences,
)

STRATA = [*"xxxyy", *"yyxxx"]


def _groups():
    values = np.random.default_rng(0).normal(size=10)
    return by_stratum(values[:5], values[5:], STRATA)


@pytest.mark.parametrize("n_permutations", [200, 50])
def test_label_arrangements_are_those_of_the_null_differences_in_their_order(n_permutations):
    groups = _groups()
    sizes = [(x.size, y.size) for x, y in groups]
    labels, visits = label_arrangements(sizes, n_permutations, seed=3)
    null, same_visits = null_differences(groups, n_permutations, seed=3)
    values = np.concatenate([part for group in groups for part in group])
    assert visits == same_visits
    assert visits.exact == (n_permutations == 200)
    assert label_contrasts(labels, sizes) @ values == pytest.approx(null)


def test_every_arrangement_is_there_once():
    labels, visits = label_arrangements([(3, 2), (1, 3)], 40, seed=0)
    assert visits.exact
    assert len(labels) == len({tuple(row) for row in labels}) == 10 * 4
    assert (labels[:, :5].sum(axis=1) == 3).all()
    assert (labels[:, 5:].sum(axis=1) == 1).all()


def test_contrasts_of_a_stratum_sum_to_nothing():
    labels, _ = label_arrangements([(3, 2), (1, 3)], 40, seed=0)
    contrasts = label_contrasts(labels, [(3, 2), (1, 3)])
    assert contrasts[:, :5].sum(axis=1) == pytest.approx(0, abs=1e-15)
    assert np.abs(contrasts[:, 5:]).sum(axis=1) == pytest.approx(1)


def test_least_pvalue_doubles_only_where_all_strata_are_mirrored():
    assert least_pvalue([(3, 3), (3, 3)], two_sided=False) == pytest.approx(1 / 400)
    assert least_pvalue([(3, 3), (3, 3)], two_sided=True) == pytest.approx(2 / 400)
    assert least_pvalue([(3, 3), (4, 3)], two_sided=True) == pytest.approx(1 / 700)


def test_no_arrangements_are_refused():
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        label_arrangements([(3, 3)], 0, seed=0)
