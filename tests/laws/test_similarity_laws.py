"""Laws that every registered measure keeps, drawn from the registry: a new measure is tested unasked."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.core.errors import DataError, DegenerateInputError, NonFiniteError, ShapeError
from repdrift.similarity import measure, measures
from repdrift.similarity.invariances import (
    FEATURE_PERMUTATION,
    INVARIANCES,
    ISOTROPIC_SCALING,
    ORTHOGONAL,
    PER_FEATURE_SCALING,
    SHARED_ROTATION,
    TRANSLATION,
)
from repdrift.similarity.measure import Measure
from tests.laws.related_pairs import related_pair, saturated

seeds = st.integers(0, 2**31 - 1)
WITNESSES = range(8)
SHAPES = {"more samples than features": (24, 7), "more features than samples": (14, 30)}

REPRESENTATIONS = measures("representations")

every_measure = pytest.mark.parametrize("name", REPRESENTATIONS)
both_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def _rotation(g, p):
    q, r = np.linalg.qr(g.normal(size=(p, p)))
    return q * np.sign(np.diag(r))


def _transformed(name, x, y, g):
    p = x.shape[1]
    rotation = _rotation(g, p)
    return {
        ORTHOGONAL: (x, y @ rotation),
        SHARED_ROTATION: (x @ rotation, y @ rotation),
        ISOTROPIC_SCALING: (x, y * 3.7),
        TRANSLATION: (x, y + 5 * g.normal(size=p)),
        FEATURE_PERMUTATION: (x, np.roll(y, 1, axis=1)),
        PER_FEATURE_SCALING: (x, y * np.exp(g.normal(size=p))),
    }[name]


@every_measure
def test_metadata_is_complete_and_consistent(name):
    m = measure(name)
    assert m.name == name
    assert all(text.strip() for text in (m.title, m.description, m.reference, m.cost))
    assert m.invariances <= set(INVARIANCES)
    assert m.bounds[0] < m.bounds[1]
    low, high = m.estimate_bounds or m.bounds
    assert low <= m.bounds[0]
    assert m.bounds[1] <= high
    assert m.self_value == m.bounds[1 if m.higher_is_similar else 0], "nothing is more similar to x than x"
    assert m.streaming.strip()
    assert m.higher_is_similar or m.self_value == 0, "a distance is 0 where nothing differs"
    if ORTHOGONAL in m.invariances:
        assert {SHARED_ROTATION, FEATURE_PERMUTATION} <= m.invariances, "both are rotations"


@every_measure
@both_shapes
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_a_representation_has_the_self_value_with_itself(name, shape, seed):
    x, _, _ = related_pair(seed, shape)
    m = measure(name)
    if saturated(m, x, x):
        return
    if m.held_out and shape[1] >= shape[0]:
        assert m(x, x) < m.self_value
    else:
        assert m(x, x) == pytest.approx(m.self_value, abs=1e-12)


@every_measure
@both_shapes
@given(seed=seeds)
@settings(max_examples=3, deadline=None)
def test_value_is_in_bounds_and_symmetric_where_declared(name, shape, seed):
    x, y, _ = related_pair(seed, shape)
    m = measure(name)
    if saturated(m, x, y):
        return
    value = m(x, y)
    if m.symmetric:
        assert value == pytest.approx(m(y, x), abs=1e-12)
    low, high = m.estimate_bounds or m.bounds
    assert low - 1e-12 <= value <= high + 1e-12


@pytest.mark.parametrize("name", [name for name in REPRESENTATIONS if not measure(name).symmetric])
@both_shapes
def test_asymmetry_is_seen_where_declared(name, shape):
    m = measure(name)
    pairs = [related_pair(seed, shape) for seed in WITNESSES]
    if not saturated(m, *pairs[0][:2]):
        assert max(abs(m(x, y) - m(y, x)) for x, y, _ in pairs) > 1e-9, "declare it symmetric"


@every_measure
@both_shapes
@given(seed=seeds)
@settings(max_examples=2, deadline=None)
def test_declared_invariances_hold(name, shape, seed):
    m = measure(name)
    x, y, g = related_pair(seed, shape)
    if saturated(m, x, y):
        return
    value = m(x, y)
    for invariance in m.invariances:
        assert m(*_transformed(invariance, x, y, g)) == pytest.approx(value, abs=1e-10), invariance
        other, turned = _transformed(invariance, y, x, g)
        assert m(turned, other) == pytest.approx(value, abs=1e-10), f"{invariance}, of the first side"


@pytest.mark.parametrize(
    ("name", "invariance"),
    [(name, inv) for name in REPRESENTATIONS for inv in INVARIANCES if inv not in measure(name).invariances],
)
@both_shapes
def test_undeclared_invariances_fail_on_a_witness(name, invariance, shape):
    m = measure(name)
    if saturated(m, *related_pair(0, shape)[:2]):
        return
    for seed in WITNESSES:
        x, y, g = related_pair(seed, shape)
        value = m(x, y)
        other, turned = _transformed(invariance, y, x, g)
        if abs(m(*_transformed(invariance, x, y, g)) - value) > 1e-7 or abs(m(turned, other) - value) > 1e-7:
            return
    pytest.fail("either the property should be declared, or the measure misses what it should see")


@every_measure
def test_measures_that_need_more_samples_than_features_say_so(name):
    m = measure(name)
    x, y, _ = related_pair(1, (14, 30))
    if m.needs_more_samples:
        with pytest.raises(DegenerateInputError, match="more samples than features"):
            m(x, y)
    else:
        assert math.isfinite(m(x, y))


@every_measure
def test_drift_is_zero_with_itself_and_grows_with_the_difference(name):
    m = measure(name)
    low, high = m.bounds
    assert m.drift(m.self_value) == 0
    assert m.drift(low if m.higher_is_similar else min(high, 9.0)) > 0


@every_measure
def test_comparing_all_is_comparing_each(name):
    m = measure(name)
    sides = [m.prepare(x) for x in (*related_pair(3)[:2], *related_pair(4)[:2])]
    found = m.compare_all(sides[:3], sides[1:])
    assert found.shape == (3, 3)
    assert found.dtype == np.float64
    assert found.ravel() == pytest.approx([m.compare(x, y) for x in sides[:3] for y in sides[1:]], abs=1e-12)
    assert m.compare_all([], sides).shape == (0, 4)


@every_measure
@both_shapes
def test_paired_reordering_of_samples_changes_nothing(name, shape):
    x, y, g = related_pair(2, shape)
    if saturated(measure(name), x, y):
        return
    order = g.permutation(len(x))
    assert measure(name)(x[order], y[order]) == pytest.approx(measure(name)(x, y), abs=1e-12)


@every_measure
def test_widths_may_differ_unless_declared_otherwise(name):
    m = measure(name)
    q = 12 if m.needs_more_samples else 40
    x, y, _ = related_pair(6, (24, 7), q)
    if m.same_width:
        with pytest.raises(ShapeError, match=f"7 and {q}"):
            m(x, y)
    else:
        padded = np.pad(x, [(0, 0), (0, 33)])  # zeros that also bring x to the other storage form
        assert math.isfinite(m(x, y))
        if m.ignores_zero_features:
            assert m(x, y) == pytest.approx(m(padded, y), abs=1e-10)
        else:
            assert abs(m(x, y) - m(padded, y)) > 1e-7


@every_measure
def test_lower_precision_input_is_computed_in_float64(name):
    x, y, _ = related_pair(3)
    for kind in (torch.float16, torch.bfloat16, np.float16, np.float32, ">f8"):
        if isinstance(kind, torch.dtype):
            low_x, low_y = torch.tensor(x).to(kind), torch.tensor(y).to(kind)
            wide = low_x.double().numpy(), low_y.double().numpy()
        else:
            low_x, low_y = x.astype(kind), y.astype(kind)
            wide = low_x.astype(np.float64), low_y.astype(np.float64)
        assert measure(name)(low_x, low_y) == pytest.approx(measure(name)(*wide), abs=1e-14), kind


@every_measure
def test_input_is_left_as_it_was_and_may_be_read_only(name):
    x, y, _ = related_pair(8)
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


@pytest.mark.parametrize(
    ("name", "shape", "q"),
    [
        (name, (n, p), q)
        for name in REPRESENTATIONS
        for n, p, q in [(24, 7, 7), (14, 30, 30), (24, 7, 40), (24, 40, 7)]
        if p == q or not measure(name).same_width
    ],
)
def test_mispaired_is_the_measure_of_permuted_rows(name, shape, q):
    x, y, g = related_pair(4, shape, q)
    m = measure(name)
    if saturated(m, x, y):
        return
    orders = np.array([g.permutation(len(x)) for _ in range(2)])
    found = m.mispaired(m.prepare(x), m.prepare(y), orders)
    assert found.shape == (2,)
    assert found.dtype == np.float64
    assert found == pytest.approx([m(x, y[order]) for order in orders], abs=1e-12)
    if m.paired:
        assert np.abs(found - m(x, y)).max() > 1e-6
    else:
        assert found == pytest.approx(m(x, y), abs=1e-12)


@every_measure
def test_only_permutations_of_the_samples_are_taken(name):
    x, y, _ = related_pair(4)
    m = measure(name)
    px, py = m.prepare(x), m.prepare(y)
    assert m.mispaired(px, py, np.empty((0, 24), dtype=np.int64)).shape == (0,)
    with pytest.raises(ShapeError, match=r"shape \(k, 24\), got int64 of shape \(1, 20\)"):
        m.mispaired(px, py, np.arange(20)[None])
    with pytest.raises(ShapeError, match="integers .* got float64"):
        m.mispaired(px, py, np.arange(24.0)[None])
    with pytest.raises(DataError, match="row 1 of the permutations"):
        m.mispaired(px, py, np.stack([np.arange(24), np.minimum(np.arange(24), 22)]))


@pytest.mark.parametrize("name", [n for n in REPRESENTATIONS if type(measure(n)).interval is not Measure.interval])
@both_shapes
def test_interval_holds_the_value_and_widens_with_confidence(name, shape):
    x, y, _ = related_pair(9, shape)
    m = measure(name)
    px, py = m.prepare(x), m.prepare(y)
    wide = m.interval(px, py, confidence=0.99)
    assert wide is not None
    low, high = m.interval(px, py, confidence=0.5)
    assert wide.low < low < m.compare(px, py) < high < wide.high
    assert m.interval(px, py) == m.interval(px, py, confidence=0.95)
    for wrong in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match="between 0 and 1"):
            m.interval(px, py, confidence=wrong)


@every_measure
def test_bad_input_is_named(name):
    x, y, _ = related_pair(5)
    m = measure(name)
    with pytest.raises(ShapeError, match="at least 4 samples are needed, got 3"):
        m(x[:3], y[:3])
    with pytest.raises(ShapeError, match="24 and 20"):
        m(x, y[:20])
    with pytest.raises(ShapeError, match="24 and 20"):
        m.mispaired(m.prepare(x), m.prepare(y[:20]), np.arange(20)[None])
    with pytest.raises(ShapeError, match=r"should be \(samples, features\)"):
        m(x[0], y[0])
    with pytest.raises(ShapeError, match=r"got shape \(24, 0\)"):
        m(x[:, :0], y)
    with pytest.raises(DegenerateInputError, match="all 24 samples"):
        m(x, np.ones_like(y))
    for value in (np.nan, np.inf, -np.inf):
        broken = y.copy()
        broken[7, 2] = value
        broken[9, 1] = np.nan
        with pytest.raises(NonFiniteError, match=f"sample 7, feature 2 is {value}"):
            m(x, broken)


@every_measure
def test_types_that_float64_cannot_hold_are_refused(name):
    x, _, _ = related_pair(5)
    for kind in (np.int64, np.complex128, np.longdouble, torch.int32, torch.complex64):
        wrong = torch.tensor(x).to(kind) if isinstance(kind, torch.dtype) else x.astype(kind)
        with pytest.raises(DataError, match="floats of 16 to 64 bits"):
            measure(name).prepare(wrong)
