"""CKA over minibatches, against sums over blocks written out, a peer and extended precision."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.measures.cka_minibatch import MinibatchCka


def _pair(n, p, q=None):
    g = np.random.default_rng(0)
    x = g.normal(size=(n, p)) * np.linspace(0.5, 3, p) + 2
    y = (x if q is None else x @ g.normal(size=(p, q))) + g.normal(size=(n, q or p))
    return x, y, g


def _hsic(x, y):
    """Song et al. 2012, eq. 5, of the linear kernels of centred rows, in their precision."""
    n = len(x)
    k, l_ = ((v - v.mean(axis=0)) @ (v - v.mean(axis=0)).T * (1 - np.eye(n)) for v in (x, y))
    cross = k.sum(axis=0) @ l_.sum(axis=0)
    return ((k * l_).sum() + k.sum() * l_.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))


def _by_blocks(x, y, bounds):
    blocks = [(x[a:b], y[a:b]) for a, b in pairwise(bounds)]
    sums = [np.sum([_hsic(pair[i], pair[j]) for pair in blocks]) for i, j in ((0, 1), (0, 0), (1, 1))]
    return sums[0] / np.sqrt(sums[1] * sums[2])


@pytest.mark.parametrize(("p", "q"), [(3, 4), (3, 30), (30, 40)])
@pytest.mark.parametrize(
    ("n", "bounds"),
    [
        (24, [0, 8, 16, 24]),
        (23, [0, 8, 16, 23]),
        (20, [0, 8, 16, 20]),  # half a block stands alone
        (19, [0, 8, 19]),  # less joins the one before it
        (11, [0, 11]),
        (5, [0, 5]),
    ],
)
def test_minibatch_cka_is_the_ratio_of_means_over_blocks(n, bounds, p, q):
    x, y, g = _pair(n, p, q)
    m = MinibatchCka(8)
    assert m(x, y) == pytest.approx(_by_blocks(x, y, bounds), abs=1e-12)
    orders = np.array([g.permutation(n) for _ in range(3)])
    sides = m.prepare(x), m.prepare(y)
    assert m.mispaired(*sides, orders) == pytest.approx([_by_blocks(x, y[o], bounds) for o in orders], abs=1e-12)
    grid = m.compare_all(sides, sides)
    assert grid == pytest.approx(np.array([[_by_blocks(a, b, bounds) for b in (x, y)] for a in (x, y)]), abs=1e-12)


def test_minibatch_cka_agrees_with_ckatorch_in_equal_blocks():
    from ckatorch.core import cka_batch

    x, y, _ = _pair(40, 6, 9)
    its = cka_batch(torch.tensor(x).reshape(4, 10, 6), torch.tensor(y).reshape(4, 10, 9))
    assert MinibatchCka(10)(x, y) == pytest.approx(float(its), abs=1e-12)


def test_minibatch_cka_of_one_block_is_cka_and_of_more_depends_on_the_order():
    x, y, g = _pair(400, 3)
    m = measure("cka_minibatch")
    assert m(x[:383], y[:383]) == pytest.approx(measure("cka")(x[:383], y[:383]), abs=1e-13)
    assert m(x, y) == pytest.approx(_by_blocks(x, y, [0, 256, 400]), abs=1e-12)
    order = g.permutation(400)
    assert abs(m(x[order], y[order]) - m(x, y)) > 1e-6
    assert m(x, y) == pytest.approx(measure("cka")(x, y), abs=0.02)


@pytest.mark.parametrize("p", [6, 80])
def test_a_drift_of_a_millionth_within_blocks_far_apart_agrees_with_extended_precision(p):
    g = np.random.default_rng(4)
    x = g.normal(size=(60, p)) * np.linspace(0.5, 3, p)
    y = x + 1e-3 * g.normal(size=(60, p))
    apart = 1e4 * np.repeat(np.arange(6.0), 10)[:, None]  # rows as a loader sorted by topic gives them
    wide = [np.asarray(v + apart, dtype=np.longdouble) for v in (x, y)]
    exact = float(1 - _by_blocks(*wide, range(0, 61, 10)))
    assert 1e-8 < exact < 1e-5
    assert 1 - MinibatchCka(10)(x + apart, y + apart) == pytest.approx(exact, rel=1e-4)


def test_blocks_without_variation_count_for_nothing_unless_none_varies():
    x, y, _ = _pair(24, 5)
    steps = np.repeat(np.arange(3.0), 8)[:, None]
    m = MinibatchCka(8)
    partly = np.where(steps == 1, 4.0, x)
    assert m(partly, y) == pytest.approx(_by_blocks(partly, y, [0, 8, 16, 24]), abs=1e-12)
    with pytest.raises(DegenerateInputError, match="within blocks is not above zero"):
        m(steps, y)
    with pytest.raises(ConfigError, match="at least 8 rows, got 7"):
        MinibatchCka(7)
