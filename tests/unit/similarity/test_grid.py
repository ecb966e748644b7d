"""The layer-by-layer matrix."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import ConfigError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.similarity import Representation, grid, measure, measures
from repdrift.similarity.kernels.hsic import representation_kernel


def _layers(seed, widths, n=20):
    g = np.random.default_rng(seed)
    return [g.normal(size=(n, p)) for p in widths]


@pytest.mark.parametrize("widths", [(5, 6), (40, 50), (5, 50)])
def test_a_grid_holds_every_pair(widths):
    a, b = _layers(0, [*widths, 7]), _layers(1, widths)
    found = grid(a, b, ["cka", "cka_biased"])
    assert list(found) == ["cka", "cka_biased"]
    for name, values in found.items():
        assert values.shape == (3, 2)
        expected = [[measure(name)(x, y) for y in b] for x in a]
        assert values == pytest.approx(np.array(expected), abs=1e-12)


def test_one_set_of_layers_is_compared_with_itself():
    a = _layers(2, [5, 30, 8])
    values = grid(a)["cka"]
    assert np.diag(values) == pytest.approx(1, abs=1e-12)
    assert values == pytest.approx(values.T, abs=1e-12)


def test_layers_may_come_one_at_a_time_and_be_dropped():
    made = []

    def layers():
        for x in _layers(3, [30, 31, 32]):
            made.append(len(made))
            yield torch.tensor(x)

    assert grid(layers(), layers())["cka"].shape == (3, 3)
    assert made == list(range(6))


def test_layers_may_all_come_in_the_same_memory():
    layers = _layers(8, [6, 6, 6])
    memory = np.empty((20, 6))

    def reused():
        for x in layers:
            memory[:] = x
            yield memory

    for name, values in grid(reused(), None, measures("representations")).items():
        assert np.array_equal(values, grid(layers, None, [name])[name]), name


def test_what_two_measures_need_is_computed_once():
    calls = []

    def counted(side):
        calls.append(side)
        return representation_kernel(side)

    side = Representation(_layers(4, [30])[0])
    assert side.shared(counted) is side.shared(counted)
    assert len(calls) == 1
    assert measure("cka").prepare(side) is measure("cka_biased").prepare(side)


def test_faults_name_the_layer():
    a = _layers(5, [5, 6])
    constant, broken = np.ones((20, 4)), a[0].copy()
    broken[3, 1] = np.nan
    with pytest.raises(DegenerateInputError, match=r"layers_b\[1\]: all 20 samples"):
        grid(a, [a[0], constant])
    with pytest.raises(NonFiniteError, match=r"layers_a\[0\]: sample 3, feature 1 is nan"):
        grid([broken], a)
    with pytest.raises(ShapeError, match="20 and 19"):
        grid(a, [a[0][:19]])
    with pytest.raises(UnknownNameError, match="Did you mean 'cka'"):
        grid(a, a, ["ckaa"])
    with pytest.raises(ConfigError, match="at least one measure"):
        grid(a, a, [])


def test_predictions_have_grids_of_their_own():
    a, b = _layers(6, [3, 3]), _layers(7, [3])
    always_one_class = np.tile([[1.0, 0.0, 0.0]], (20, 1))
    values = grid([*a, always_one_class], b, ["disagreement"])["disagreement"]
    assert values.shape == (3, 1)
    assert values[2, 0] == measure("disagreement")(always_one_class, b[0])
    with pytest.raises(ConfigError, match="'cka' of representations and 'disagreement' of predictions"):
        grid(a, b, ["cka", "disagreement"])
