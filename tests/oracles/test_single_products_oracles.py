"""CKA of low-precision input, whose Gram matrices are taken in float32, against float64 of the very same values."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity import Representation, measure
from repdrift.similarity.gram import gram, gram_of_single
from repdrift.similarity.kernels.standardized import standardized_kernel

N, P = 280, 512
"""Large enough for products in float32; the tests check that they are taken."""

FLOAT32, FLOAT64 = torch.float32, torch.float64

SIZES = [(1e-3, FLOAT32), (3e-2, FLOAT32), (3e-2, torch.bfloat16), (1.0, torch.float16)]
"""Sizes of the change, with the types at which each is tested. Drifts are about the square of the size."""


def _first(samples):
    return np.arange(N)[:, None] < samples


def _mixed(v, rank):
    return v[:, :rank] @ np.random.default_rng(1).normal(size=(rank, P))


_SECOND = np.arange(P) == 1
_FALL = (1 + np.arange(P)) ** -0.5
_OFFSETS = np.random.default_rng(2).normal(size=(2, P))

# What rows x and what is added to them become. Both are noise whose variance falls by feature as in language models.
IN_FLOAT32 = {
    "plain": lambda x, e: (x, e),
    "offset features": lambda x, e: (x + 1e4, e),
    "offset features, apart": lambda x, e: (x + 1e4 * _OFFSETS[0], e + 1e3 * _OFFSETS[1]),
    "massive feature": lambda x, e: (np.where(_SECOND, 28_000 + 1500 * x, x), np.where(_SECOND, 1500 * e, e)),
    "massive sample": lambda x, e: (np.where(_first(1), 100 * x, x), e),
    "massive samples": lambda x, e: (np.where(_first(3), 1000 * x, x), e),
    "duplicated samples": lambda x, e: (np.tile(x[: N // 2], (2, 1)), np.tile(e[: N // 2], (2, 1))),
    "three odd samples": lambda x, e: (np.where(_first(3), x, x[3]), np.where(_first(3), e, e[3])),
    "rank 2": lambda x, e: (_mixed(x, 2), _mixed(e, 2)),
    "low rank and tiny noise": lambda x, e: (_mixed(x, 3) + 1e-5 * x, _mixed(e, 3) + 1e-5 * e),
    "white": lambda x, e: (x / _FALL, e / _FALL),
    "almost equidistant": lambda x, e: (x + 8 * np.eye(N, P), e),  # just enough is left
}
# What float32 cannot be trusted with: kernels of which U-centring leaves next to nothing, and squares out of range.
IN_FLOAT64 = {
    "equidistant": lambda x, e: (x + 3000 * np.eye(N, P), e),
    "one enormous sample": lambda x, e: (np.where(_first(1), 1e4 * x, x), e),
    "tiny": lambda x, e: (1e-20 * x, 1e-20 * e),
    "huge": lambda x, e: (1e20 * x, 1e20 * e),
}


def _rows(case, size):
    """Base and tuned rows in float64."""
    x, noise = np.random.default_rng(7).normal(size=(2, N, P)) * _FALL
    x, noise = (IN_FLOAT32 | IN_FLOAT64)[case](x, noise)
    return x, x + size * noise


def _sides(case, size, kind):
    rows = [torch.tensor(v).to(kind) for v in _rows(case, size)]
    if not all(bool(v.isfinite().all()) for v in rows) or any(bool((v == v[0]).all()) for v in rows):
        pytest.skip(f"{kind} cannot hold it")
    return [Representation(v) for v in rows]


def _gram(side, standardized):
    """The Gram matrix in float64, of the values as they were given."""
    rows = side.given.double().numpy()
    rows = rows / 2.0 ** np.frexp(np.abs(rows).max())[1]  # else fourth powers of 1e20 are too much
    for _ in range(2):
        rows = rows - rows.mean(axis=0)
    if standardized:
        rows = np.divide(rows, rows.std(axis=0), out=np.zeros_like(rows), where=np.ptp(rows, axis=0) > 0)
    return rows @ rows.T


def _u_centred(table):
    off = 1 - np.eye(len(table))
    table = table * off
    means = table.sum(axis=0) / (len(table) - 2)
    return (table - means - means[:, None] + means.sum() / (len(table) - 1)) * off


def _drift(k, l_):
    return 1 - (k * l_).sum() / np.linalg.norm(k) / np.linalg.norm(l_)


def _in_float32(side):
    return gram_of_single(side) is not None


@pytest.mark.parametrize(
    ("case", "size", "kind"),
    [(case, *SIZES[0]) for case in (*IN_FLOAT32, *IN_FLOAT64)]
    + [
        (case, *size)
        for case in ("plain", "offset features, apart", "massive samples", "rank 2", "equidistant")
        for size in SIZES[1:]
    ],
)
def test_drifts_from_float32_products_are_those_of_float64(case, size, kind):
    x, y = _sides(case, size, kind)
    assert (_in_float32(x), _in_float32(y)) == (case in IN_FLOAT32,) * 2
    k, l_ = _gram(x, False), _gram(y, False)
    exact = _drift(_u_centred(k), _u_centred(l_))
    assert exact > 0
    assert 1 - measure("cka")(x, y) == pytest.approx(exact, rel=1e-3, abs=1e-10)
    assert 1 - measure("cka_biased")(x, y) == pytest.approx(_drift(k, l_), rel=1e-3, abs=1e-10)


@pytest.mark.parametrize("case", [*IN_FLOAT32, "tiny", "huge"])
def test_standardised_drifts_from_float32_products_are_those_of_float64(case):
    x, y = _sides(case, 1e-3, FLOAT32)
    assert standardized_kernel(x).table.dtype == standardized_kernel(y).table.dtype == FLOAT32
    k, l_ = _gram(x, True), _gram(y, True)
    assert 1 - measure("cka_standardized")(x, y) == _from_float32(_drift(_u_centred(k), _u_centred(l_)))
    assert 1 - measure("cka_standardized_biased")(x, y) == _from_float32(_drift(k, l_))


def _from_float32(exact):
    """What float32 can tell of a drift d: two kernels lie an angle of sqrt(2 d) apart, and a turn of one by e changes d by e sqrt(2 d).

    e is four roundings; where a few entries carry the kernel, they do not average out, and processors sum in other orders.
    """
    return pytest.approx(exact, rel=1e-3, abs=4 * 2.0**-24 * np.sqrt(2 * exact))


def test_features_without_variation_carry_nothing_in_float32_either():
    x, y = (torch.tensor(v).float() for v in _rows("plain", 0.1))
    value = measure("cka_standardized")(x, y)
    wide = torch.cat([x, torch.full((N, 40), 0.1), torch.full((N, 40), 1e4 / 3), torch.zeros(N, 9)], dim=1)
    assert standardized_kernel(Representation(wide)).table.dtype == FLOAT32
    assert measure("cka_standardized")(wide, y) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-38, 1e34])
def test_features_that_float32_cannot_scale_are_standardised_in_float64(scale):
    x, y = (torch.tensor(v).float() for v in _rows("plain", 0.1))
    odd = x.clone()
    odd[:, 3] *= scale
    assert standardized_kernel(Representation(odd)).table.dtype == FLOAT64
    exact = _drift(_u_centred(_gram(Representation(odd), True)), _u_centred(_gram(Representation(y), True)))
    assert 1 - measure("cka_standardized")(odd, y) == pytest.approx(exact, rel=1e-6)


def test_one_odd_sample_is_no_variation_in_float32_either():
    x, y = (torch.tensor(v).float() for v in _rows("plain", 0.1))
    x[1:] = x[1]
    with pytest.raises(DegenerateInputError, match="too few distinct samples"):
        measure("cka")(x, y)


def test_a_sample_a_millionfold_larger_is_not_mistaken_for_the_only_one_that_varies():
    x, y = (torch.tensor(v).float() for v in _rows("plain", 1.0))
    x[0] *= 1e6
    assert not _in_float32(Representation(x))
    exact = _drift(_u_centred(_gram(Representation(x), False)), _u_centred(_gram(Representation(y), False)))
    assert exact < 0.995
    assert 1 - measure("cka")(x, y) == pytest.approx(exact, abs=1e-5)  # float64 too has ten digits fewer than usual


@pytest.mark.parametrize("kind", [FLOAT32, FLOAT64])
@pytest.mark.parametrize("n", [4, 64, 65, 257, 280])
def test_the_mirrored_gram_matrix_is_the_product(n, kind):
    rows = torch.randn(n, 9, generator=torch.Generator().manual_seed(0), dtype=kind)
    error = (gram(rows).double() - rows.double() @ rows.double().T).abs().max()
    assert float(error) < (1e-5 if kind == FLOAT32 else 1e-13)


def test_float32_is_left_alone_where_it_does_not_pay_or_is_not_float32():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(N, P, generator=g)
    assert _in_float32(Representation(x))
    for other in (x.double(), x[:100, :100].contiguous(), x.T.contiguous()):
        assert not _in_float32(Representation(other))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert not _in_float32(Representation(x))
    finally:
        torch.set_float32_matmul_precision(before)


def test_mispaired_values_from_float32_products_are_those_of_float64():
    g = np.random.default_rng(8)
    rows = [(v * _FALL).astype(np.float32) for v in g.normal(size=(3, N, P))]
    x, y, z = (Representation(v) for v in rows)
    assert _in_float32(x)
    wide = [Representation(v.astype(np.float64)) for v in rows]
    first, second = (np.array([g.permutation(N) for _ in range(2)]) for _ in range(2))
    for name in ("cka", "cka_biased", "cka"):  # the traces of the last orders are kept, for the same kernels only
        m = measure(name)
        for other, exact, orders in ((y, wide[1], first), (z, wide[2], first), (y, wide[1], second)):
            found = m.mispaired(m.prepare(x), m.prepare(other), orders)
            expected = [m(wide[0], Representation(exact.given[order])) for order in orders]
            assert found == pytest.approx(expected, abs=1e-7)
            mixed = m.mispaired(m.prepare(x), m.prepare(exact), orders)
            assert mixed == pytest.approx(found, abs=1e-7)
