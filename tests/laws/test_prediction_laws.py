"""Laws that every registered measure of predictions keeps, drawn from the registry: a new measure is tested unasked."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.core.errors import DataError, NonFiniteError, ShapeError
from repdrift.similarity import Representation, measure, measures
from repdrift.similarity.invariances import (
    FEATURE_PERMUTATION,
    INVARIANCES,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    PER_FEATURE_SCALING,
    SHARED_ROTATION,
    TRANSLATION,
)
from repdrift.similarity.measure import EXACT

seeds = st.integers(0, 2**31 - 1)
WITNESSES = range(8)
SHAPES = {"two classes": (24, 2), "more samples than classes": (24, 7), "more classes than samples": (14, 30)}

every_measure = pytest.mark.parametrize("name", measures("predictions"))
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def _pair(seed, shape=(24, 7)):
    g = np.random.default_rng(seed)
    x = 3 * g.normal(size=shape) + g.normal(size=shape[1])
    return x, x + 2 * g.normal(size=shape), g


def _transformed(name, x, y, g):
    c = x.shape[1]
    rotation = np.linalg.qr(g.normal(size=(c, c)))[0]
    return {
        ORTHOGONAL: (x, y @ rotation),
        SHARED_ROTATION: (x @ rotation, y @ rotation),
        ISOTROPIC_SCALING: (x, y * 3.7),
        TRANSLATION: (x, y + 5 * g.normal(size=c)),
        FEATURE_PERMUTATION: (x, np.roll(y, 1, axis=1)),
        PER_FEATURE_SCALING: (x, y * np.exp(g.normal(size=c))),
    }[name]


def test_there_are_measures_of_predictions():
    assert {"disagreement", "jensen_shannon", "kl_divergence"} <= set(measures("predictions"))
    assert not set(measures("predictions")) & set(measures("representations"))


@every_measure
def test_metadata_is_complete_and_consistent(name):
    m = measure(name)
    assert m.name == name
    assert all(text.strip() for text in (m.title, m.description, m.reference, m.cost))
    assert m.invariances <= set(INVARIANCES)
    assert not m.higher_is_similar
    assert m.bounds[0] == m.self_value == 0
    assert m.same_width, "both models tell the same classes apart"
    assert m.streaming != EXACT, "sums of products do not hold a softmax or a largest logit"


@every_measure
@every_shape
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_a_model_does_not_differ_from_itself(name, shape, seed):
    x, _, _ = _pair(seed, shape)
    assert measure(name)(x, x.copy()) == 0


@every_measure
@every_shape
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_value_is_in_bounds_and_symmetric_where_declared(name, shape, seed):
    x, y, _ = _pair(seed, shape)
    m = measure(name)
    value = m(x, y)
    assert m.bounds[0] <= value <= m.bounds[1] + 1e-12
    assert m.drift(value) == value
    if m.symmetric:
        assert value == pytest.approx(m(y, x), abs=1e-12)


@every_measure
@every_shape
def test_asymmetry_is_seen_where_declared(name, shape):
    m = measure(name)
    if not m.symmetric:
        pairs = [_pair(seed, shape) for seed in WITNESSES]
        assert max(abs(m(x, y) - m(y, x)) for x, y, _ in pairs) > 1e-3, "declare it symmetric"


@every_measure
@pytest.mark.parametrize("size", [1e2, 1e5, 1e300])
def test_opposite_certainties_are_as_far_apart_as_can_be(name, size):
    x = np.array([[size, -size, -size], [-size, size, -size], [-size, -size, size], [size, -size, -size]])
    m = measure(name)
    farthest = m.bounds[1] if math.isfinite(m.bounds[1]) else 2 * size
    assert m(x, np.roll(x, 1, axis=1)) == pytest.approx(farthest, rel=1e-12)


@every_measure
@every_shape
@given(seed=seeds)
@settings(max_examples=2, deadline=None)
def test_declared_invariances_hold(name, shape, seed):
    m = measure(name)
    x, y, g = _pair(seed, shape)
    for invariance in m.invariances:
        assert m(*_transformed(invariance, x, y, g)) == pytest.approx(m(x, y), abs=1e-10), invariance


@pytest.mark.parametrize(
    ("name", "invariance"),
    [(name, inv) for name in measures("predictions") for inv in INVARIANCES if inv not in measure(name).invariances],
)
@every_shape
def test_undeclared_invariances_fail_on_a_witness(name, shape, invariance):
    m = measure(name)
    for seed in WITNESSES:
        x, y, g = _pair(seed, shape)
        if abs(m(*_transformed(invariance, x, y, g)) - m(x, y)) > 1e-3:
            return
    pytest.fail("either the property should be declared, or the measure misses what it should see")


@every_measure
@every_shape
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_what_leaves_every_distribution_alone_changes_nothing(name, shape, seed):
    m = measure(name)
    x, y, g = _pair(seed, shape)
    value = m(x, y)
    shift = 100 * g.normal(size=(len(x), 1))
    classes, samples = g.permutation(x.shape[1]), g.permutation(len(x))
    assert m(x, y + shift) == pytest.approx(value, abs=1e-10), "another number on all logits of a sample"
    assert m(x - shift, y) == pytest.approx(value, abs=1e-10)
    assert m(x[:, classes], y[:, classes]) == pytest.approx(value, abs=1e-12), "classes in another order"
    assert m(x[samples], y[samples]) == pytest.approx(value, abs=1e-12), "samples in another order"


@every_measure
def test_a_model_that_always_says_the_same_can_be_compared(name):
    x, y, _ = _pair(1)
    constant = np.tile(x[:1], (24, 1))
    m = measure(name)
    assert m(constant, constant) == 0
    assert m(constant, y) > 0
    assert m(np.zeros_like(x), y) > 0
    assert m(Representation(constant, constant_allowed=True), Representation(y)) == m(constant, y)


@every_measure
def test_comparing_all_is_comparing_each(name):
    m = measure(name)
    sides = [m.prepare(x) for x in (*_pair(3)[:2], *_pair(4)[:2])]
    found = m.compare_all(sides[:3], sides[1:])
    assert found.ravel() == pytest.approx([m.compare(x, y) for x in sides[:3] for y in sides[1:]], abs=1e-12)
    assert m.compare_all([], sides).shape == (0, 4)


@every_measure
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_logits_are_computed_in_float64(name, kind):
    x, y, _ = _pair(3)
    low_x, low_y = torch.tensor(x).to(kind), torch.tensor(y).to(kind)
    assert measure(name)(low_x, low_y) == measure(name)(low_x.double().numpy(), low_y.double().numpy())


@every_measure
def test_input_is_left_as_it_was_and_may_be_read_only(name):
    x, y, _ = _pair(8)
    kept = x.copy(), y.copy()
    for array in (x, y):
        array.flags.writeable = False
    m = measure(name)
    px, py = m.prepare(x), m.prepare(y)
    m.interval(px, py)
    m.mispaired(px, py, np.arange(24)[None])
    m(torch.tensor(x), torch.tensor(y))
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


@every_measure
@every_shape
def test_mispaired_is_the_measure_of_permuted_rows(name, shape):
    x, y, g = _pair(4, shape)
    m = measure(name)
    orders = np.array([g.permutation(len(x)) for _ in range(4)])
    found = m.mispaired(m.prepare(x), m.prepare(y), orders)
    assert found.dtype == np.float64
    assert found == pytest.approx([m(x, y[order]) for order in orders], abs=1e-12)
    with pytest.raises(DataError, match="row 0 of the permutations"):
        m.mispaired(m.prepare(x), m.prepare(y), np.zeros((1, len(x)), dtype=np.int64))


@every_measure
@every_shape
def test_interval_holds_the_value_and_widens_with_confidence(name, shape):
    x, y, _ = _pair(9, shape)
    m = measure(name)
    px, py = m.prepare(x), m.prepare(y)
    wide = m.interval(px, py, confidence=0.99)
    low, high = m.interval(px, py, confidence=0.5)
    assert wide.low < low < m.compare(px, py) < high < wide.high
    assert m.interval(px, py) == m.interval(px, py, confidence=0.95)
    for wrong in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match="between 0 and 1"):
            m.interval(px, py, confidence=wrong)


@every_measure
def test_bad_input_is_named(name):
    x, y, _ = _pair(5)
    m = measure(name)
    with pytest.raises(ShapeError, match="at least 4 samples are needed, got 3"):
        m(x[:3], y[:3])
    for call in (m, lambda a, b: m.interval(m.prepare(a), m.prepare(b))):
        with pytest.raises(ShapeError, match="24 and 20"):
            call(x, y[:20])
        with pytest.raises(ShapeError, match="same classes on both sides, got 7 and 6"):
            call(x, y[:, :6])
    with pytest.raises(ShapeError, match="24 and 20"):
        m.mispaired(m.prepare(x), m.prepare(y[:20]), np.arange(20)[None])
    for one in (x[:, :1], np.zeros((24, 1))):
        with pytest.raises(ShapeError, match="at least 2 classes, got 1"):
            m(one, one)
    for value in (np.nan, np.inf, -np.inf):
        broken = y.copy()
        broken[7, 2] = value
        with pytest.raises(NonFiniteError, match=f"sample 7, feature 2 is {value}"):
            m(x, broken)
    with pytest.raises(DataError, match="floats of 16 to 64 bits"):
        m.prepare(x.astype(np.int64))


@every_measure
def test_it_does_not_stream_and_says_why(name):
    m = measure(name)
    with pytest.raises(DataError, match=f"{name!r} does not follow from streamed sums: it needs logits"):
        m.from_moments(None)
