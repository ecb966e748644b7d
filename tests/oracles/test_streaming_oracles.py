"""Streamed numbers against the float64 measures, numpy programs of another form, closed forms, extended precision."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import measure
from repdrift.similarity.streaming import finalize, init, merge, update

FLOAT32, FLOAT64 = torch.float32, torch.float64


def _streamed(x, y, product_dtype=FLOAT64, batch=96, processes=2):
    """Batches dealt to processes in turn, merged: the processes' shifts differ."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    states = [init(1, product_dtype=product_dtype) for _ in range(processes)]
    for number, start in enumerate(range(0, len(x), batch)):
        update(states[number % processes], x[start : start + batch], [y[start : start + batch]])
    merged = states[0]
    for state in states[1:]:
        merged = merge(merged, state)
    return finalize(merged)


def _cka_of_grams(x, y):
    """Song et al. 2012, eq. 5, from n x n matrices, in the precision of what is given."""

    def hsic(u, v):
        n, one = len(u), np.ones(len(u))
        k, l_ = (m @ m.T * (1 - np.eye(n)) for m in (u, v))
        cross = one @ k @ l_ @ one
        return (k * l_).sum() + (one @ k @ one) * (one @ l_ @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross

    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return hsic(x, y) / np.sqrt(hsic(x, x)) / np.sqrt(hsic(y, y))


def _exact_drift(x, y):
    wide = (np.asarray(torch.as_tensor(v).double(), dtype=np.longdouble) for v in (x, y))
    return float(1 - _cka_of_grams(*wide))


def _pair(case, n, p, size=1e-3):
    g = np.random.default_rng(4)
    x = g.normal(size=(n, p)) * np.linspace(0.5, 3, p)
    noise = g.normal(size=(n, p))
    y = x + size * noise
    if case == "offsets, apart":
        x, y = x + 1e4 * g.normal(size=p), y + 1e4 * g.normal(size=p)
    elif case == "offsets":
        x, y = x + 1e4, y + 1e4
    elif case == "massive feature":  # a first token of 28,000 in every batch; it moved, as everything else did
        x[::16, 1] = 28_000 * (1 + 0.1 * g.normal(size=len(x[::16])))
        y = x + size * noise * np.abs(x)
    elif case == "sorted":  # the first batch is like no other
        x = x[np.argsort(x[:, 0])] + np.linspace(-4, 4, n)[:, None]
        y = x + size * noise
    elif case == "unrelated":
        y = noise
    elif case == "shrunk features":  # the massive feature of the base is gone from the tuned model
        x[:, 1] *= 10_000
        y = x + size * noise
        y[:, 1] = noise[:, 1]
    elif case == "bfloat16":
        return torch.tensor(x).bfloat16(), torch.tensor(y).bfloat16()
    elif case == "float16":
        return torch.tensor(x).half(), torch.tensor(y).half()
    return x, y


CASES = ["plain", "offsets", "offsets, apart", "massive feature", "sorted", "unrelated", "shrunk features", "float16"]
SHAPES = [(200, 40), (100, 130)]


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("case", [*CASES, "bfloat16"])
@pytest.mark.parametrize("product_dtype", [FLOAT32, FLOAT64], ids=str)
def test_streamed_measures_are_the_registered_ones(case, n, p, product_dtype):
    x, y = _pair(case, n, p)
    result = _streamed(x, y, product_dtype)
    tolerance = 1e-9 if product_dtype == FLOAT64 else 1e-6
    for name in ("cka", "cka_biased"):
        # Of unrelated sides the value is a small difference of the terms, which are of order 1.
        assert getattr(result, name) == pytest.approx(measure(name)(x, y), rel=tolerance, abs=tolerance), name
    assert result.cosine == pytest.approx(measure("cosine")(x, y), rel=1e-12)


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("case", [case for case in CASES if case not in ("unrelated", "shrunk features")])
@pytest.mark.parametrize(("product_dtype", "tolerance"), [(FLOAT32, 2e-3), (FLOAT64, 1e-4)], ids=str)
def test_a_drift_of_a_millionth_agrees_with_extended_precision(case, n, p, product_dtype, tolerance):
    x, y = _pair(case, n, p)
    exact = _exact_drift(x, y)
    assert 1e-9 < exact < 2e-5
    assert 1 - _streamed(x, y, product_dtype).cka == pytest.approx(exact, rel=tolerance)


@pytest.mark.parametrize("size", [1e-2, 1e-3, 1e-4, 1e-5])
def test_float32_products_see_drifts_far_below_float32_precision(size):
    # Products of V itself would err by about 1e-8 here, whatever the drift; those of V - U err by a share of the drift.
    x, y = _pair("plain", 260, 48, size)
    exact = _exact_drift(x, y)
    assert 1 - _streamed(x, y, FLOAT32, batch=130).cka == pytest.approx(exact, rel=1e-4, abs=1e-15)


@pytest.mark.parametrize("product_dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("case", ["plain", "offsets", "massive feature", "bfloat16"])
def test_a_model_that_did_not_change_has_no_drift_in_any_precision(case, product_dtype):
    x, _ = _pair(case, 300, 40)
    result = _streamed(x, x, product_dtype)
    assert result.relative_change == 0
    assert result.cosine == 1
    for name in ("cka", "cka_biased", "cka_standardized_biased"):
        assert abs(1 - getattr(result, name)) <= 1e-13, name


@pytest.mark.parametrize(("product_dtype", "offset"), [(FLOAT32, 1e4), (FLOAT64, 0)])
def test_a_drift_of_a_millionth_is_the_closed_form_of_its_population_to_five_percent(product_dtype, offset):
    # x ~ N(0, diag(s^2)), y = x + t e with e white: the population's drift follows from the two covariances.
    g = np.random.default_rng(5)
    n, p, t = 20_000, 24, 3e-3
    scales = np.linspace(0.2, 2.0, p)
    sxx, syy = scales**2, scales**2 + t**2
    population = 1 - np.sum(sxx * sxx) / (np.linalg.norm(sxx) * np.linalg.norm(syy))
    x = g.normal(size=(n, p)) * scales + offset
    result = _streamed(x, x + t * g.normal(size=(n, p)), product_dtype, batch=1000)
    found = 1 - result.cka
    assert found == pytest.approx(1 - measure("cka")(*_again(5, n, scales, t)), rel=1e-3)
    assert 0.2e-6 < population < 20e-6
    assert found == pytest.approx(population, rel=0.05)


def _again(seed, n, scales, t):
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, len(scales))) * scales
    return x, x + t * g.normal(size=(n, len(scales)))


@pytest.mark.parametrize("product_dtype", [FLOAT32, FLOAT64], ids=str)
def test_standardised_cka_is_that_of_scaled_features(product_dtype):
    x, y = _pair("massive feature", 300, 40)
    y = y @ np.random.default_rng(1).normal(size=(40, 40)) / 6
    x[:, 3], y[:, 5] = 0.1, -7.3  # features that do not vary
    expected = measure("cka_biased")(
        *(np.where(v.std(0) > 1e-12, v - v.mean(0), 0) / (v.std(0) + 1e-300) for v in (x, y))
    )
    tolerance = 1e-9 if product_dtype == FLOAT64 else 1e-6
    assert _streamed(x, y, product_dtype).cka_standardized_biased == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("p", [5, 97, 130, 800])
def test_spread_is_that_of_the_covariance_in_every_width_of_strips(p):
    g = np.random.default_rng(2)
    x = g.normal(size=(60, p)) * np.linspace(1, 4, p) + 50
    x[7, 3] = -28_000
    result = _streamed(x, x + g.normal(size=x.shape), batch=25)
    centred = x - x.mean(0)
    eigenvalues = np.linalg.svd(centred, compute_uv=False) ** 2
    assert result.base.participation_ratio == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-9)
    assert result.base.top_share == pytest.approx(centred.var(0).max() / centred.var(0).sum(), rel=1e-9)
    assert result.base.top_feature == 3
    assert result.base.largest_activation == 28_000


def test_a_turn_by_a_millionth_has_the_cosine_and_the_change_of_its_angle():
    # A turn by the angle a in every plane: 1 - cos a = 2 sin(a/2)^2; every row moves by 2 sin(a/2) of its length.
    x = np.random.default_rng(8).normal(size=(20, 6))
    angle = 1e-6
    turn = np.kron(np.eye(3), [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    result = _streamed(x, x @ turn, FLOAT32, batch=7)
    assert 1 - result.cosine == pytest.approx(2 * np.sin(angle / 2) ** 2, rel=1e-3)
    assert result.relative_change == pytest.approx(2 * np.sin(angle / 2), rel=1e-8)


def test_scaled_and_turned_copies_have_their_textbook_values():
    g = np.random.default_rng(9)
    x = g.normal(size=(50, 8))
    rotation = np.linalg.qr(g.normal(size=(8, 8)))[0]
    doubled, negated, turned = (_streamed(x, y, batch=11) for y in (2 * x, -x, x @ rotation + 3))
    assert doubled.cka == pytest.approx(1, abs=1e-12)
    assert doubled.relative_change == pytest.approx(1)
    assert doubled.cosine == pytest.approx(1, abs=1e-14)
    assert negated.cosine == pytest.approx(-1)
    assert negated.relative_change == pytest.approx(2)
    assert turned.cka == pytest.approx(1, abs=1e-10)


def test_independent_noise_has_debiased_cka_about_zero_below_it_too():
    g = np.random.default_rng(3)
    values = [_streamed(g.normal(size=(60, 200)), g.normal(size=(60, 200)), FLOAT32, 20).cka for _ in range(20)]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 0.01


def test_one_row_of_zeros_makes_the_cosine_undefined_and_nothing_else():
    x, y = _pair("plain", 40, 6)
    x[5] = 0
    result = _streamed(x, y)
    with pytest.raises(DegenerateInputError, match="base: 1 of 40 samples are a vector of zeros"):
        _ = result.cosine
    assert result.cka == pytest.approx(measure("cka")(x, y), rel=1e-9)
