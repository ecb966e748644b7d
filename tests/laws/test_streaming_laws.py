"""Laws of streaming: however rows arrive, in whatever parts and order, the numbers are those of all rows at once."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repdrift.core.errors import ConfigError, DataError, DegenerateInputError, NonFiniteError, ShapeError
from repdrift.similarity import measure, measures
from repdrift.similarity.measure import EXACT
from repdrift.similarity.streaming import PairedAccumulator, finalize, from_dict, init, merge, to_dict, update
from repdrift.similarity.streaming.moments import shifted_cross, shifted_side

NUMBERS = ("cka", "cka_biased", "cka_standardized_biased", "cosine", "relative_change")
SPREAD = ("top_share", "participation_ratio", "largest_activation")
SHAPES = {"more samples than features": (40, 7), "more features than samples": (14, 130)}
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-6}

STREAMED = [name for name in measures() if measure(name).streaming == EXACT]

seeds = st.integers(0, 2**31 - 1)
both_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
both_products = pytest.mark.parametrize("product_dtype", TOLERANCE, ids=str)


def _rows(seed, shape=(40, 7), *, tuned=1, offset=30.0, dtype=torch.float64):
    """Base and tuned rows with large means, a small drift, and one massive activation in the first row."""
    g = torch.Generator().manual_seed(seed)
    n, p = shape
    x = torch.randn(n, p, generator=g, dtype=torch.float64) + offset * torch.randn(p, generator=g, dtype=torch.float64)
    x[0, 1] = 300
    ys = [x + 0.1 * (k + 1) * torch.randn(n, p, generator=g, dtype=torch.float64) for k in range(tuned)]
    return x.to(dtype), [y.to(dtype) for y in ys]


def _state(x, ys, product_dtype=torch.float64):
    return update(init(len(ys), product_dtype=product_dtype), x, ys)


def _numbers(result):
    spreads = [getattr(side, name) for side in (result.base, result.tuned) for name in SPREAD]
    return np.array([result.n, *(getattr(result, name) for name in NUMBERS), *spreads])


def _parts(seed, n, parts):
    g = np.random.default_rng(seed)
    return np.split(g.permutation(n), np.sort(g.integers(0, n + 1, size=parts - 1)))  # empty parts too


def _as_state_numbers(state):
    return np.concatenate([_numbers(finalize(state, k)) for k in range(state.n_tuned)])


@both_shapes
@both_products
@given(seed=seeds, parts=st.integers(1, 9))
@settings(max_examples=8, deadline=None)
def test_any_partition_in_any_order_gives_the_whole_batch_value(shape, product_dtype, seed, parts):
    x, ys = _rows(seed, shape, tuned=2)
    state = init(2, product_dtype=product_dtype)
    for part in _parts(seed, len(x), parts):
        update(state, x[part], [y[part] for y in ys])
    whole = _as_state_numbers(_state(x, ys, product_dtype))
    assert _as_state_numbers(state) == pytest.approx(whole, rel=TOLERANCE[product_dtype])


@both_shapes
@both_products
@given(seed=seeds, parts=st.integers(2, 7))
@settings(max_examples=8, deadline=None)
def test_any_tree_of_merges_gives_the_whole_batch_value(shape, product_dtype, seed, parts):
    x, ys = _rows(seed, shape)
    states = [_state(x[part], [ys[0][part]], product_dtype) for part in _parts(seed, len(x), parts)]
    g = np.random.default_rng(seed)
    while len(states) > 1:
        first, second = (states.pop(int(g.integers(len(states)))) for _ in range(2))
        states.append(merge(first, second))
    whole = _as_state_numbers(_state(x, ys, product_dtype))
    assert _as_state_numbers(states[0]) == pytest.approx(whole, rel=TOLERANCE[product_dtype])


def _same_sums(a, b, rel):
    """Assert that all sums of two states about the same shifts agree to `rel` of their size."""
    for side, other in zip([a.base, *a.tuned, *a.cross], [b.base, *b.tuned, *b.cross], strict=True):
        for name, value in vars(side).items():
            expected = torch.as_tensor(vars(other)[name], dtype=torch.float64)
            difference = (torch.as_tensor(value, dtype=torch.float64) - expected).abs().max()
            assert difference <= rel * expected.abs().max() + 1e-300, name


@given(seed=seeds)
@settings(max_examples=8, deadline=None)
def test_merge_is_associative_and_leaves_its_arguments_alone(seed):
    x, ys = _rows(seed, (30, 7), tuned=2)
    a, b, c = (_state(x[i : i + 10], [y[i : i + 10] for y in ys]) for i in (0, 10, 20))
    kept = [io.BytesIO() for _ in range(3)]
    for state, file in zip((a, b, c), kept, strict=True):
        torch.save(to_dict(state), file)
    _same_sums(merge(merge(a, b), c), merge(a, merge(b, c)), 1e-10)
    assert _as_state_numbers(merge(b, a)) == pytest.approx(_as_state_numbers(merge(a, b)), rel=1e-10)
    for state, file in zip((a, b, c), kept, strict=True):
        file.seek(0)
        _same_sums(state, from_dict(torch.load(file, weights_only=True)), 0)


@both_products
def test_merge_with_an_empty_state_is_the_identity_and_shares_no_memory(product_dtype):
    x, ys = _rows(1)
    state, empty = _state(x, ys, product_dtype), init(1, product_dtype=product_dtype)
    for merged in (merge(state, empty), merge(empty, state)):
        _same_sums(merged, state, 0)
        update(merged, x, ys)
        assert state.n == 40
    assert merge(empty, empty).n == 0
    assert update(empty, x[:0], [ys[0][:0]]).base is None


@given(seed=seeds, size=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=10, deadline=None)
def test_sums_moved_to_another_shift_are_those_taken_about_it(seed, size):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, 9, 5, generator=g, dtype=torch.float64)
    moved_by = [size * torch.randn(5, generator=g, dtype=torch.float64) for _ in range(2)]
    state = _state(x, [y])
    new = [side.shift + d for side, d in zip((state.base, state.tuned[0]), moved_by, strict=True)]

    direct = init(1, product_dtype=torch.float64)
    update(direct, new[0][None], [new[1][None]])  # the first row of a state is its shift; its other sums stay zero
    update(direct, x, [y])
    for side in (direct.base, direct.tuned[0]):
        side.n = 9

    base, tuned = shifted_side(state.base, new[0]), shifted_side(state.tuned[0], new[1])
    cross = shifted_cross(state.cross[0], state.base, state.tuned[0], *new)
    for found, expected in ((base, direct.base), (tuned, direct.tuned[0]), (cross, direct.cross[0])):
        for name, value in vars(found).items():
            if name in ("raw_squares", "largest", "zero_rows", "change", "cosines"):
                continue  # of raw rows; the row that set the shift is in them
            wanted = torch.as_tensor(vars(expected)[name], dtype=torch.float64)
            assert (torch.as_tensor(value) - wanted).abs().max() <= 1e-10 * wanted.abs().max(), name


@both_products
def test_k_tuned_models_at_once_are_k_pairs(product_dtype):
    x, ys = _rows(3, tuned=3)
    state = _state(x, ys, product_dtype)
    for k, y in enumerate(ys):
        assert _numbers(finalize(state, k)) == pytest.approx(
            _numbers(finalize(_state(x, [y], product_dtype))), rel=1e-12
        )


@given(seed=seeds, at=st.integers(0, 40))
@settings(max_examples=10, deadline=None)
def test_saving_loading_and_going_on_changes_nothing(seed, at):
    x, ys = _rows(seed, tuned=2)
    whole = PairedAccumulator(2, product_dtype=torch.float64)
    whole.update(x[:at], [y[:at] for y in ys])
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = PairedAccumulator.from_state_dict(torch.load(file, weights_only=True))
    for accumulator in (whole, resumed):
        accumulator.update(x[at:], [y[at:] for y in ys])
        assert accumulator.n == 40
    for k in range(2):
        assert np.array_equal(_numbers(resumed.result(k)), _numbers(whole.result(k)))


def test_batches_may_be_overwritten_and_are_left_as_they_were():
    x, ys = _rows(6)
    accumulator = PairedAccumulator(product_dtype=torch.float64)
    buffers = torch.empty(10, 7, dtype=torch.float64), torch.empty(10, 7, dtype=torch.float64, requires_grad=True)
    for start in range(0, 40, 10):
        given_rows = x[start : start + 10], ys[0][start : start + 10]
        for buffer, rows in zip(buffers, given_rows, strict=True):
            buffer.data.copy_(rows)
        accumulator.update(buffers[0], [buffers[1]])
        assert all(torch.equal(buffer.data, rows) for buffer, rows in zip(buffers, given_rows, strict=True))
    assert _numbers(accumulator.result()) == pytest.approx(_numbers(finalize(_state(x, ys))), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_rows_are_taken_as_they_are(dtype):
    x, ys = _rows(7, dtype=dtype)
    accumulator = PairedAccumulator(product_dtype=torch.float64)
    accumulator.update(x, ys)
    wide = _state(x.double(), [ys[0].double()])
    assert _numbers(accumulator.result()) == pytest.approx(_numbers(finalize(wide)), rel=1e-10)


def test_a_bad_batch_is_named_and_adds_nothing():
    x, ys = _rows(8, tuned=2)
    accumulator = PairedAccumulator(2)
    accumulator.update(x, ys)
    before = _numbers(accumulator.result(1))
    broken = ys[1].clone()
    for value in (float("nan"), float("inf"), -float("inf")):
        broken[7, 2] = broken[9, 1] = value
        with pytest.raises(NonFiniteError, match=f"tuned model 1: row 7 of the batch, feature 2 is {value}"):
            accumulator.update(x, [ys[0], broken])
    faults = [
        ((x, ys[:1]), ShapeError, "made for 2 tuned models, got rows of 1"),
        ((x[0], ys), ShapeError, r"should be \(rows, features\)"),
        ((x[:, :0], [y[:, :0] for y in ys]), ShapeError, r"got shape \(40, 0\)"),
        ((x[:, :5], [y[:, :5] for y in ys]), ShapeError, "had 7 features, this one has 5"),
        ((x, [ys[0], ys[1][:39]]), ShapeError, r"tuned model 1: .* \(40, 7\), got \(39, 7\)"),
        ((x.int(), ys), DataError, "base: rows should be floats of 16 to 64 bits, got torch.int32"),
        ((x.to(torch.float8_e5m2), ys), DataError, "float8"),
        ((x * 1e20, ys), DataError, "base: the largest magnitude .* use float64 products"),
        ((x * 1e-20, ys), DataError, "base: the largest magnitude"),
    ]
    for arguments, error, message in faults:
        with pytest.raises(error, match=message):
            accumulator.update(*arguments)
    assert np.array_equal(_numbers(accumulator.result(1)), before)


def test_too_few_or_equal_rows_are_an_error_and_not_a_number():
    x, ys = _rows(9)
    with pytest.raises(ShapeError, match="at least 4 samples are needed, got 0"):
        PairedAccumulator().result()
    few = PairedAccumulator()
    few.update(x[:3], [ys[0][:3]])
    with pytest.raises(ShapeError, match="at least 4 samples are needed, got 3"):
        few.result()
    with pytest.raises(ShapeError, match="tuned models 0 to 0, not 1"):
        few.result(1)


@both_products
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4 / 3])
@pytest.mark.parametrize("parts", [1, 3])
def test_constant_rows_are_degenerate_whatever_the_parts(product_dtype, value, parts):
    x, ys = _rows(10)
    constant = torch.full_like(x, value)
    merged = init(1, product_dtype=product_dtype)
    for i in range(parts):
        merged = merge(merged, _state(x[i::parts], [constant[i::parts]], product_dtype))
    result = finalize(merged)
    for name in ("cka", "cka_biased", "cka_standardized_biased", "tuned"):
        with pytest.raises(DegenerateInputError, match="tuned model: all 40 samples have the same"):
            getattr(result, name)
    assert result.base.top_share > 0
    if value == 0:
        with pytest.raises(DegenerateInputError, match="tuned model: 40 of 40 samples are a vector of zeros"):
            _ = result.cosine
        with pytest.raises(DegenerateInputError, match="base: all numbers are zero"):
            _ = finalize(_state(constant, ys, product_dtype)).relative_change


@both_products
def test_one_sample_that_differs_has_no_unbiased_variance(product_dtype):
    x = torch.zeros(8, 3, dtype=torch.float64)
    x[3] = 1
    y = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(DegenerateInputError, match="base: .* too few distinct samples"):
        _ = finalize(_state(x, [y], product_dtype)).cka


def test_only_accumulators_of_the_same_settings_merge_and_only_real_settings_are_taken():
    x, ys = _rows(11)
    for other in (PairedAccumulator(2), PairedAccumulator(product_dtype=torch.float64)):
        with pytest.raises(ConfigError, match="same settings"):
            PairedAccumulator().merge(other)
    with pytest.raises(ConfigError, match="same settings"):
        merge(init(1), init(2))
    a, b = (PairedAccumulator() for _ in "ab")
    a.update(x, ys)
    b.update(x[:, :3], [ys[0][:, :3]])
    with pytest.raises(ShapeError, match="7 and 3 features"):
        a.merge(b)
    for wrong in ({"n_tuned": 0}, {"product_dtype": torch.bfloat16}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            PairedAccumulator(**wrong)


def test_a_saved_state_that_is_not_one_is_refused():
    x, ys = _rows(12)
    accumulator = PairedAccumulator()
    accumulator.update(x, ys)
    saved = accumulator.state_dict()
    with pytest.raises(DataError, match="format 1, this version reads 2"):
        PairedAccumulator.from_state_dict(saved | {"format": 1})
    with pytest.raises(DataError, match="not a saved state"):
        PairedAccumulator.from_state_dict({"format": 2})
    with pytest.raises(DataError, match="holds sums of 1"):
        from_dict(saved | {"n_tuned": 2})
    broken = saved["base"] | {"total": torch.zeros(3, dtype=torch.float64)}
    with pytest.raises(DataError, match=r"'total' is torch.float64 of shape \(3,\), not float64 \(7,\)"):
        from_dict(saved | {"base": broken})


@pytest.mark.parametrize("name", STREAMED)
@both_products
@given(seed=seeds, parts=st.integers(1, 6))
@settings(max_examples=3, deadline=None)
def test_a_measure_that_streams_has_the_value_of_all_rows(name, product_dtype, seed, parts):
    x, ys = _rows(seed, (60, 7), dtype=product_dtype)
    pieces = [_state(x[part], [ys[0][part]], product_dtype) for part in _parts(seed, len(x), parts)]
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = merge(merged, piece)
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-5}[product_dtype]
    found = measure(name).from_moments(finalize(merged))
    assert found == pytest.approx(measure(name)(x, ys[0]), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", [name for name in measures("representations") if name not in STREAMED])
def test_a_measure_that_does_not_stream_says_why(name):
    result = finalize(_state(*_rows(3, (60, 7))))
    with pytest.raises(
        DataError, match=f"{name!r} does not follow from streamed sums: it .*; compute it from the rows"
    ):
        measure(name).from_moments(result)
