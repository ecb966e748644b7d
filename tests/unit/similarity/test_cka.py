"""The CKA pair: its two storage forms, degenerate input, intervals at the edge."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.kernels.hsic import kernel_of_rows


class _LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for found in out if isinstance(out, tuple | list) else [out]:
            if isinstance(found, torch.Tensor):
                self.elements = max(self.elements, found.numel())
        return out


@pytest.mark.parametrize("name", ["cka", "cka_biased"])
def test_no_table_of_samples_by_samples_where_samples_outnumber_features(name):
    g = np.random.default_rng(0)
    x, y = torch.tensor(g.normal(size=(400, 6))), torch.tensor(g.normal(size=(400, 9)))
    m = measure(name)
    with _LargestTensor() as seen:
        px, py = m.prepare(x), m.prepare(y)
        m.compare(px, py)
        m.interval(px, py)
        m.mispaired(px, py, np.array([g.permutation(400)]))
    assert 400 * 6 <= seen.elements <= 400 * 9


def test_both_storage_forms_give_the_same_numbers():
    g = np.random.default_rng(1)
    x = g.normal(size=(40, 8)) @ g.normal(size=(8, 8))
    y = x + g.normal(size=(40, 8))
    m = measure("cka")
    small = m.prepare(x), m.prepare(y)
    padded = tuple(m.prepare(np.pad(v, [(0, 0), (0, 60)])) for v in (x, y))
    assert [k.is_gram for k in (*small, *padded)] == [False, False, True, True]
    for pair in (padded, (small[0], padded[1]), (padded[0], small[1])):
        assert m.compare(*pair) == pytest.approx(m.compare(*small), abs=1e-13)
        assert m.interval(*pair) == pytest.approx(m.interval(*small), abs=1e-12)


@pytest.mark.parametrize("p", [3, 90])
@pytest.mark.parametrize("seed", range(8))
def test_one_odd_sample_among_equal_ones_is_no_variation(seed, p):
    # The unbiased estimate of its variance is zero, and rounding leaves a number of either sign.
    g = np.random.default_rng(seed)
    x = np.tile(g.normal(size=p), (50, 1))
    x[4] = g.normal(size=p)
    with pytest.raises(DegenerateInputError, match="too few distinct samples"):
        measure("cka")(x, g.normal(size=(50, 5)))


@pytest.mark.parametrize("scale", [1e-200, 1e-80, 1e80, 1e200])
@pytest.mark.parametrize("p", [5, 50])
@pytest.mark.parametrize("name", ["cka", "cka_biased"])
def test_extreme_scales_neither_overflow_nor_vanish(name, p, scale):
    g = np.random.default_rng(3)
    x = g.normal(size=(20, p))
    y = x + g.normal(size=(20, p))
    assert measure(name)(x * scale, y) == pytest.approx(measure(name)(x, y), abs=1e-13)


def test_the_interval_of_equal_sides_is_the_value_itself():
    x = np.random.default_rng(4).normal(size=(30, 5))
    m = measure("cka")
    low, high = m.interval(m.prepare(x), m.prepare(2 * x + 1))
    assert low == high == pytest.approx(1, abs=1e-12)
    with pytest.raises(ValueError, match="between 0 and 1"):
        m.interval(m.prepare(x), m.prepare(x), confidence=2)


def test_the_interval_is_missing_where_one_sample_makes_all_the_difference():
    g = np.random.default_rng(5)
    x = g.normal(size=(30, 5))
    changed = x.copy()
    changed[3] += 1  # without sample 3 the sides are equal
    lonely = np.zeros((30, 5))
    lonely[3], lonely[4] = g.normal(size=(2, 5))  # without sample 3 or 4 nothing varies
    m = measure("cka")
    assert m.interval(m.prepare(x), m.prepare(changed)) is None
    assert np.isfinite(m(x, lonely))
    assert m.interval(m.prepare(x), m.prepare(lonely)) is None


def test_four_samples_have_a_value_and_no_interval():
    x, y = np.random.default_rng(6).normal(size=(2, 4, 3))
    m = measure("cka")
    assert np.isfinite(m(x, y))
    assert m.interval(m.prepare(x), m.prepare(y)) is None


def test_the_interval_of_the_biased_form_has_the_same_edges():
    g = np.random.default_rng(7)
    x, y = g.normal(size=(2, 9, 3))
    m = measure("cka_biased")
    low, high = m.interval(m.prepare(x), m.prepare(2 * x + 1))
    assert low == high == pytest.approx(1, abs=1e-12)
    lonely = np.zeros((9, 3))
    lonely[3] = 1.0  # without sample 3 nothing varies
    assert m.interval(m.prepare(x), m.prepare(lonely)) is None
    with pytest.raises(DegenerateInputError, match="without sample 3 all rows of a side are equal"):
        m.without_one(m.prepare(x), m.prepare(lonely))
    assert m.interval(m.prepare(x[:4]), m.prepare(y[:4])) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        m.interval(m.prepare(x[:4]), m.prepare(y[:4]), confidence=0)


def test_the_diagonal_is_kept_beside_the_kernel():
    x = torch.tensor(np.random.default_rng(8).normal(size=(6, 4)))
    for table in (x, torch.nn.functional.pad(x, (0, 9))):
        k = kernel_of_rows(table)
        full = x @ x.T
        assert torch.allclose(k.diagonal, full.diagonal(), atol=1e-14)
        assert torch.allclose(k.row_sums, full.sum(dim=1) - full.diagonal(), atol=1e-14)
        assert torch.allclose(k.times(x[:, 0]), full @ x[:, 0] - full.diagonal() * x[:, 0], atol=1e-13)
