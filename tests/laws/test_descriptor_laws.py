"""Laws that every registered descriptor keeps, drawn from the registry: a new descriptor is tested unasked."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.core.errors import DataError, DegenerateInputError, NonFiniteError, ShapeError, UnknownNameError
from repdrift.similarity import Descriptor, Representation, descriptor, descriptors
from repdrift.similarity.invariances import (
    DESCRIPTOR_INVARIANCES,
    FEATURE_PERMUTATION,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    PER_FEATURE_SCALING,
    TRANSLATION,
)

seeds = st.integers(0, 2**31 - 1)
WITNESSES = range(8)
SHAPES = {"more samples than features": (24, 7), "more features than samples": (14, 30), "few samples": (4, 3)}

every_descriptor = pytest.mark.parametrize("name", descriptors())
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def _rows(seed, shape=(24, 7)):
    g = np.random.default_rng(seed)
    n, p = shape
    return g.normal(size=(n, 2)) @ g.normal(size=(2, p)) + 0.7 * g.normal(size=(n, p)) + g.normal(size=p), g


def _transformed(name, x, g):
    p = x.shape[1]
    return {
        ORTHOGONAL: x @ np.linalg.qr(g.normal(size=(p, p)))[0],
        ISOTROPIC_SCALING: x * 3.7,
        TRANSLATION: x + 5 * g.normal(size=p),
        FEATURE_PERMUTATION: np.roll(x, 1, axis=1),
        PER_FEATURE_SCALING: x * np.exp(g.normal(size=p)),
    }[name]


def test_all_are_found_by_name():
    assert set(descriptors()) >= {
        "anisotropy",
        "concentricity",
        "effective_rank",
        "isotropy",
        "largest_activation",
        "largest_activation_share",
        "magnitude",
        "participation_ratio",
        "uniformity",
    }
    assert all(isinstance(descriptor(name), Descriptor) for name in descriptors())
    with pytest.raises(UnknownNameError, match="unknown descriptor 'isotrophy'.*Did you mean 'isotropy'"):
        descriptor("isotrophy")


@every_descriptor
def test_metadata_is_complete_and_consistent(name):
    d = descriptor(name)
    assert d.name == name
    assert all(text.strip() for text in (d.title, d.description, d.reference, d.cost))
    assert d.invariances <= set(DESCRIPTOR_INVARIANCES)
    assert d.bounds[0] < d.bounds[1]
    if ORTHOGONAL in d.invariances:
        assert FEATURE_PERMUTATION in d.invariances, "it is a rotation"
    assert not {ORTHOGONAL, PER_FEATURE_SCALING} <= d.invariances, "no number keeps both"


@every_descriptor
@every_shape
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_value_is_in_bounds_whatever_the_order_of_samples(name, shape, seed):
    x, g = _rows(seed, shape)
    d = descriptor(name)
    value = d(x)
    assert d.bounds[0] - 1e-12 <= value <= d.bounds[1] + 1e-12
    assert d(x[g.permutation(len(x))]) == pytest.approx(value, abs=1e-12)


@every_descriptor
@every_shape
@given(seed=seeds)
@settings(max_examples=2, deadline=None)
def test_declared_invariances_hold(name, shape, seed):
    x, g = _rows(seed, shape)
    d = descriptor(name)
    for invariance in d.invariances:
        assert d(_transformed(invariance, x, g)) == pytest.approx(d(x), abs=1e-10), invariance


@pytest.mark.parametrize(
    ("name", "invariance"),
    [
        (name, inv)
        for name in descriptors()
        for inv in DESCRIPTOR_INVARIANCES
        if inv not in descriptor(name).invariances
    ],
)
@every_shape
def test_undeclared_invariances_fail_on_a_witness(name, invariance, shape):
    d = descriptor(name)
    for seed in WITNESSES:
        x, g = _rows(seed, shape)
        if abs(d(_transformed(invariance, x, g)) - d(x)) > 1e-3:
            return
    pytest.fail("either the property should be declared, or the descriptor misses what it should see")


@every_descriptor
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_magnitudes_whose_squares_leave_float64_change_no_digit(name, size):
    x, _ = _rows(1)
    d = descriptor(name)
    if ISOTROPIC_SCALING in d.invariances:
        assert d(x * size) == pytest.approx(d(x), rel=1e-12)
    else:
        assert d(x * size) == pytest.approx(size * d(x), rel=1e-12)


@every_descriptor
def test_equal_rows_are_described_or_refused_by_name(name):
    d = descriptor(name)
    constant = np.tile(np.array([0.1, 1e4 / 3, -2.0]), (24, 1))
    if d.needs_variation:
        with pytest.raises(DegenerateInputError, match=f"all 24 samples .*: {name} is undefined"):
            d(constant)
    else:
        assert d.bounds[0] <= d(constant) <= d.bounds[1]


@every_descriptor
def test_lower_precision_input_is_computed_in_float64(name):
    x, _ = _rows(3)
    for kind in (torch.float16, torch.bfloat16, np.float16, np.float32, ">f8"):
        if isinstance(kind, torch.dtype):
            low = torch.tensor(x).to(kind)
            wide = low.double().numpy()
        else:
            low = x.astype(kind)
            wide = low.astype(np.float64)
        assert descriptor(name)(low) == descriptor(name)(wide), kind


@every_descriptor
def test_input_is_left_as_it_was_and_may_be_read_only(name):
    x, _ = _rows(8)
    kept = x.copy()
    x.flags.writeable = False
    descriptor(name)(x)
    assert np.array_equal(x, kept)
    shared = torch.tensor(kept)
    descriptor(name)(shared)
    assert np.array_equal(shared.numpy(), kept)


@every_shape
def test_descriptors_that_share_a_side_have_the_values_they_have_alone(shape):
    x, _ = _rows(9, shape)
    side = Representation(x)
    for _ in range(2):  # the second time everything is shared, and must be as it was
        assert {name: descriptor(name)(side) for name in descriptors()} == {
            name: descriptor(name)(x) for name in descriptors()
        }


@every_descriptor
def test_bad_input_is_named(name):
    x, _ = _rows(5)
    d = descriptor(name)
    with pytest.raises(ShapeError, match="at least 4 samples are needed, got 3"):
        d(x[:3])
    with pytest.raises(ShapeError, match=r"should be \(samples, features\)"):
        d(x[0])
    broken = x.copy()
    broken[7, 2] = math.nan
    with pytest.raises(NonFiniteError, match="sample 7, feature 2 is nan"):
        d(broken)
    with pytest.raises(DataError, match="floats of 16 to 64 bits"):
        d(x.astype(np.int64))
