"""Laws that every registered measure keeps, drawn from the registry: a new measure is tested unasked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.core.errors import DegenerateInputError, NonFiniteError, ShapeError
from repdrift.similarity import measure, measures
from repdrift.similarity.measure import (
    INVARIANCES,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    PER_FEATURE_SCALING,
    SHARED_ROTATION,
    TRANSLATION,
)

seeds = st.integers(0, 2**31 - 1)


def _pair(seed, n=24, p=7, q=7):
    g = np.random.default_rng(seed)
    z = g.normal(size=(n, 5))
    x = z @ g.normal(size=(5, p)) + 0.7 * g.normal(size=(n, p)) + g.normal(size=p)
    y = z @ g.normal(size=(5, q)) + 0.7 * g.normal(size=(n, q)) + g.normal(size=q)
    return x, y, g


def _rotation(g, p):
    q, r = np.linalg.qr(g.normal(size=(p, p)))
    return q * np.sign(np.diag(r))


def _transformed(name, x, y, g):
    p = x.shape[1]
    if name == ORTHOGONAL:
        return x, y @ _rotation(g, p)
    if name == SHARED_ROTATION:
        rotation = _rotation(g, p)
        return x @ rotation, y @ rotation
    if name == ISOTROPIC_SCALING:
        return x, y * 3.7
    if name == TRANSLATION:
        return x, y + 5 * g.normal(size=p)
    if name == PER_FEATURE_SCALING:
        return x, y * np.exp(g.normal(size=p))
    raise AssertionError(name)


@pytest.mark.parametrize("name", measures())
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_self_similarity_is_one(name, seed):
    x, _, _ = _pair(seed)
    assert measure(name)(x, x) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", measures())
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_value_is_symmetric_and_in_bounds(name, seed):
    x, y, _ = _pair(seed)
    m = measure(name)
    value = m(x, y)
    assert value == pytest.approx(m(y, x), abs=1e-12)
    slack = 0.35 if name == "cka" else 1e-12  # an unbiased estimate may leave the bounds of what it estimates
    assert m.bounds[0] - slack <= value <= m.bounds[1] + slack


@pytest.mark.parametrize("invariance", INVARIANCES)
@pytest.mark.parametrize("name", measures())
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_declared_invariances_hold_and_others_do_not(name, invariance, seed):
    x, y, g = _pair(seed)
    m = measure(name)
    change = abs(m(*_transformed(invariance, x, y, g)) - m(x, y))
    if invariance in m.invariances:
        assert change <= 1e-10
    else:
        assert change > 1e-7, "either the property should be declared, or the measure misses what it should see"


@pytest.mark.parametrize("name", measures())
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, np.float32])
def test_lower_precision_input_is_computed_in_float64(name, kind):
    x, y, _ = _pair(3)
    if isinstance(kind, torch.dtype):
        low_x, low_y = torch.tensor(x).to(kind), torch.tensor(y).to(kind)
        wide = low_x.double().numpy(), low_y.double().numpy()
    else:
        low_x, low_y = x.astype(kind), y.astype(kind)
        wide = low_x.astype(np.float64), low_y.astype(np.float64)
    assert measure(name)(low_x, low_y) == pytest.approx(measure(name)(*wide), abs=1e-14)


@pytest.mark.parametrize("name", measures())
def test_mispaired_is_the_measure_of_permuted_rows(name):
    x, y, g = _pair(4)
    m = measure(name)
    orders = np.array([g.permutation(len(x)) for _ in range(4)])
    found = m.mispaired(m.prepare(x), m.prepare(y), orders)
    assert found == pytest.approx([m(x, y[order]) for order in orders], abs=1e-12)


@pytest.mark.parametrize("name", measures())
def test_bad_input_is_named(name):
    x, y, _ = _pair(5)
    m = measure(name)
    with pytest.raises(ShapeError, match="at least 4 samples are needed, got 3"):
        m(x[:3], y[:3])
    with pytest.raises(ShapeError, match="24 and 20"):
        m(x, y[:20])
    with pytest.raises(ShapeError, match="should be \\(samples, features\\)"):
        m(x[0], y[0])
    with pytest.raises(DegenerateInputError, match="all 24 samples"):
        m(x, np.ones_like(y))
    broken = y.copy()
    broken[7, 2] = np.nan
    with pytest.raises(NonFiniteError, match="sample 7, feature 2 is nan"):
        m(x, broken)
