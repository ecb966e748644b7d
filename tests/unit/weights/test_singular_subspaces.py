"""Spectra through Gram matrices against numpy's singular value decomposition in float64."""

import numpy as np
import pytest
import torch

from repdrift.core.errors import NonFiniteError
from repdrift.weights.gram_spectrum import GramSpectrum, columns_of
from repdrift.weights.singular_subspaces import BaseMatrix
from repdrift.weights.spectrum import carrying

K, LIMIT = 10, 0.5
SHAPES = [(48, 48), (40, 96), (96, 40)]


def by_svd(base, tuned, k=K, limit=LIMIT):
    """Alignments and intruders from two full decompositions."""
    u, s, vt = np.linalg.svd(base, full_matrices=False)
    x, _, yt = np.linalg.svd(tuned, full_matrices=False)
    nearest = np.abs(u[:, s > 1e-6 * s[0]].T @ x[:, :k]).max(axis=0)
    left = np.square(u[:, :k].T @ x[:, :k]).sum() / k
    return left, np.square(vt[:k] @ yt[:k].T).sum() / k, int((nearest < limit).sum())


def drawn(shape, seed, decay=0.05):
    """A random matrix whose singular values fall by a factor e^-decay from one to the next."""
    generator = np.random.default_rng(seed)
    p = min(shape)
    u = np.linalg.qr(generator.normal(size=(shape[0], p)))[0]
    v = np.linalg.qr(generator.normal(size=(shape[1], p)))[0]
    return u * np.exp(-decay * np.arange(p)) @ v.T


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1e-3, 0.3, 3.0])
@pytest.mark.parametrize("rank", [1, 4, None])
def test_values_are_those_of_the_decomposition(shape, size, rank):
    base = drawn(shape, 1)
    generator = np.random.default_rng(2)
    r = rank or min(shape)
    b, a = generator.normal(size=(shape[0], r)), generator.normal(size=(r, shape[1]))
    b *= size / np.linalg.norm(b @ a, ord=2)
    found = BaseMatrix(torch.from_numpy(base)).compared(torch.from_numpy(b @ a), k=K, limit=LIMIT)
    from_factors = BaseMatrix(torch.from_numpy(base)).compared(
        (torch.from_numpy(b), torch.from_numpy(a)), k=K, limit=LIMIT
    )
    left, right, intruders = by_svd(base, base + b @ a)
    for one in (found, from_factors):
        assert one.alignment_left == pytest.approx(left, abs=1e-9)
        assert one.alignment_right == pytest.approx(right, abs=1e-9)
        assert one.intruders == intruders
        assert one.k == K


def test_product_that_cancels_the_base_leaves_what_is_left():
    """Adding terms of Gram matrices would leave rounding of the base where almost nothing is left of it."""
    base = drawn((30, 50), 9, decay=0.3)
    left, values, right = np.linalg.svd(base, full_matrices=False)
    b, a = torch.from_numpy(-left * values), torch.from_numpy(right)
    rest = torch.from_numpy(1e-7 * np.outer(left[:, 20], right[25]))
    b, a = torch.cat([b, rest @ a.T], dim=1), torch.cat([a, a])
    found = BaseMatrix(torch.from_numpy(base)).compared((b, a), k=3, limit=LIMIT)
    assert found.k == 1
    assert found.alignment_left == pytest.approx(left[:, 0] @ left[:, 20], abs=1e-6)


def test_intruders_that_only_the_whole_base_decides():
    """A tuned vector that lies along the base's last left singular vector is none, though no leading one is near it."""
    base = drawn((64, 80), 3)
    u, _, vt = np.linalg.svd(base)
    along_last = 5.0 * np.outer(u[:, -1], vt[-1])
    spread = 5.0 * np.outer(u[:, 40:].sum(axis=1) / np.sqrt(24), vt[70])  # 24 cosines of 0.2
    matrix = BaseMatrix(torch.from_numpy(base))
    assert matrix.compared(torch.from_numpy(along_last), k=K, limit=LIMIT).intruders == 0
    assert matrix.compared(torch.from_numpy(spread), k=K, limit=LIMIT).intruders == 1
    assert by_svd(base, base + along_last)[2] == 0
    assert by_svd(base, base + spread)[2] == 1


def test_direction_outside_the_span_of_a_tall_base_is_an_intruder():
    base = drawn((96, 12), 4, decay=0.1)
    outside = np.linalg.svd(base)[0][:, 50]
    change = 9.0 * np.outer(outside, np.eye(12)[0])
    assert BaseMatrix(torch.from_numpy(base)).compared(torch.from_numpy(change), k=5, limit=LIMIT).intruders == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_in_stored_types(dtype):
    base = torch.from_numpy(drawn((40, 96), 5)).to(dtype)
    change = (torch.from_numpy(drawn((40, 96), 6)) * 0.5).float()
    found = BaseMatrix(base).compared(change, k=K, limit=LIMIT)
    wide = base.double().numpy()
    left, right, intruders = by_svd(wide, wide + change.double().numpy())
    assert (found.alignment_left, found.alignment_right, found.intruders) == (
        pytest.approx(left, abs=1e-8),
        pytest.approx(right, abs=1e-8),
        intruders,
    )


def test_rank_below_k_and_zero_matrices():
    low = torch.from_numpy(np.outer(np.ones(30), np.arange(1.0, 41)))
    same = BaseMatrix(low).compared(torch.zeros(30, 40), k=K, limit=LIMIT)
    assert (same.k, same.intruders) == (1, 0)
    assert same.alignment_left == pytest.approx(1.0)
    zero = BaseMatrix(torch.zeros(30, 40)).compared(low, k=K, limit=LIMIT)
    assert (zero.k, zero.alignment_left, zero.alignment_right, zero.intruders) == (0, None, None, None)
    gone = BaseMatrix(low).compared(-low, k=K, limit=LIMIT)
    assert gone.alignment_left is None


def test_alignment_of_a_whole_space_is_missing():
    found = BaseMatrix(torch.from_numpy(drawn((8, 40), 7))).compared(torch.ones(8, 40), k=K, limit=LIMIT)
    assert (found.k, found.alignment_left) == (8, None)
    assert found.alignment_right is not None


def test_nan_is_refused():
    with pytest.raises(NonFiniteError):
        GramSpectrum(columns_of(torch.tensor([[1.0, float("nan")]])))


def test_columns_in_several_blocks_give_one_spectrum(monkeypatch):
    monkeypatch.setattr("repdrift.weights.gram_spectrum._BLOCK_BYTES", 1)
    matrix = drawn((20, 300), 8)
    expected = np.linalg.svd(matrix, compute_uv=False)
    spectrum = GramSpectrum(columns_of(torch.from_numpy(matrix)))
    np.testing.assert_allclose(spectrum.singular_values(), expected, rtol=1e-9)
    leading = spectrum.leading(5)
    np.testing.assert_allclose(leading.short * leading.values @ leading.long.T, _best(matrix, 5), atol=1e-10)


def test_values_that_carry_a_share():
    assert carrying(torch.tensor([3.0, 1.0, 0.0]), 0.9) == 1
    assert carrying(torch.tensor([3.0, 1.0, 0.0]), 0.95) == 2
    assert carrying(torch.ones(10), 0.9) == 9
    assert carrying(torch.zeros(3), 0.9) == 0


def _best(matrix, k):
    u, s, vt = np.linalg.svd(matrix)
    return u[:, :k] * s[:k] @ vt[:k]
