"""Bootstrap over samples of debiased CKA: all resamples at once, as matrix products.

A resample holds sample i w_i times. Two copies of one sample are a pair of a sample with itself, which says nothing about the
kernel. Like the diagonal it counts 0, in kernels that are U-centred on the whole sample: 0 is then what the average pair counts.
CKA stays within [-1, 1]. The formulas are in `repdrift.similarity.uncertainty.exact_forms` (exact) and
`repdrift.similarity.uncertainty.second_order_forms` (what many samples use).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import ConfigError, DataError, ShapeError
from repdrift.similarity.arrays import MIN_SAMPLES, require_paired
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.uncertainty.exact_forms import exact_cka
from repdrift.similarity.uncertainty.second_order_forms import BaseForms, SecondOrderForms

_ROWS = 1024
"""Resamples per product: its result is read again while it is in the cache."""

_DRAWN = 1 << 20
"""Draws that are held at once."""

_MOST = 1 << 24
"""Float32 holds whole numbers up to here."""

_FEW = 300
"""Up to this many samples, or resamples, the exact form costs nothing that anyone would notice."""

_MANY = 8192
"""From more samples on, the exact form takes no longer than the second order, and no n x n matrix."""

_TOLD_APART = 64
"""Resamples after which no two samples have been drawn equally often each time, unless they are drawn together."""

_UNEVEN = 2.0
"""Largest mean of (w - 1)^2 over samples for the second order, which is for counts near 1. Draws with replacement have about 1."""


def resample_weights(n: int, replicates: int, *, seed: int, dtype: type[np.integer] = np.int32) -> NDArray[np.integer]:
    """Draw n of n samples with replacement, and count how often each is drawn: (replicates, n) of `dtype`. Seeded.

    Use one set of weights for every layer, measure and model: differences between them are then paired. In int8 they take a
    quarter of the memory; convert them before you add or multiply them.
    Raises ConfigError if there are fewer than 4 samples or fewer than 1 replicate.
    """
    if n < MIN_SAMPLES or replicates < 1:
        raise ConfigError(f"at least 4 samples and 1 replicate are needed, got {n} and {replicates}")
    generator, counts = np.random.default_rng(seed), np.empty((replicates, n), dtype=dtype)
    rows = max(1, _DRAWN // n)
    for start in range(0, replicates, rows):  # the generator's draws do not depend on how many are asked for at a time
        part = counts[start : start + rows]
        draws = generator.integers(n, size=part.shape)
        draws += n * np.arange(len(part))[:, None]
        found = np.bincount(draws.ravel(), minlength=part.size)
        if found.max() > np.iinfo(dtype).max:
            raise ConfigError(f"a sample is drawn {found.max()} times, which {np.dtype(dtype)} does not hold")
        part[:] = found.reshape(part.shape)
    return counts


def cka_resampled(
    x: Kernel,
    ys: Sequence[Kernel],
    weights: NDArray[np.integer],
    *,
    exact: bool = False,
    on_rows: Callable[[int], object] | None = None,
) -> NDArray[np.float64]:
    """Debiased CKA of x with each of `ys` in every resample: (len(ys), replicates).

    weights: (replicates, n) counts of at least 0, at least 4 in each row. on_rows: called with the number of resamples
    that were done. NaN where a resample holds too few distinct samples for a side to vary. What depends on x alone is
    computed once for all `ys`. Products are of float32, on the device of x; a drift keeps about four digits however small it
    is. Raises ShapeError or DataError if the weights are not such counts.

    One y is computed at a time, in the memory of eight n x n matrices of float32 at most; for more than 8,192 samples, or exactly, in strips
    of 2^21 numbers. More than 300 draws with replacement of 300 to 8,192 samples are computed to the second order, unless `exact`. A y is
    computed exactly all the same if a few samples make up so much of a side's variance that its standard deviation over
    resamples is more than 0.4 of itself. Measured at n = 750 against the exact form, for spectra from flat to 1/k^2, n > p,
    drifts of 1e-9 to 1, unrelated sides, heavy tails, one sample ten times as long and one dominating feature: correlations
    over replicates are 0.999 or more, and both ends of 95 % percentile intervals lie within 1 % of their width. At n = 320
    standard deviations agree within 1.5 %.
    """
    if not ys:
        return np.empty((0, len(weights)))
    for y in ys:
        require_paired(x.n, y.n)
    w = _checked(weights, x.n).to(x.device)
    if exact or min(w.shape) <= _FEW or x.n > _MANY or not _are_draws(w):
        return exact_cka(x, ys, w, _ROWS, on_rows).cpu().numpy()
    values = torch.empty((len(ys), w.shape[0]), dtype=torch.float64, device=w.device)
    base, doubtful = BaseForms(x), []
    thin: dict[int, SecondOrderForms] = {}
    for number, y in enumerate(ys):
        forms = SecondOrderForms(base, y)
        if not forms.steady:
            doubtful.append(number)
        elif forms.is_thin:
            thin[number] = forms
        else:
            _fill(values, {number: forms}, w)
    _fill(values, thin, w)
    del base
    if doubtful:
        values[doubtful] = exact_cka(x, [ys[number] for number in doubtful], w, _ROWS)
    if on_rows:
        on_rows(w.shape[0])
    return values.cpu().numpy()


def _fill(values: Tensor, forms: Mapping[int, SecondOrderForms], w: Tensor) -> None:
    for start in range(0, w.shape[0] if forms else 0, _ROWS):
        v = w[start : start + _ROWS].to(torch.float32).sub_(1)
        for number, form in forms.items():
            values[number, start : start + _ROWS] = form.cka(v)


def _are_draws(w: Tensor) -> bool:
    """True if every row sums to n and is not far from 1 everywhere, and each sample is drawn by itself, not whole groups."""
    n = w.shape[1]
    if torch.unique(w[:_TOLD_APART], dim=1).shape[1] < n:
        return False
    for part in w.split(_ROWS):
        rows = part.to(torch.float32)
        if not bool((rows.sum(dim=1) == n).all()) or not bool(
            (torch.linalg.vecdot(rows, rows) <= (1 + _UNEVEN) * n).all()
        ):
            return False
    return True


def _checked(weights: NDArray[np.integer], n: int) -> Tensor:
    counts = np.asarray(weights)
    if counts.ndim != 2 or counts.shape[1] != n or counts.dtype.kind not in "iu":
        raise ShapeError(
            f"weights should be integers of shape (replicates, {n}), got {counts.dtype} of shape {counts.shape}"
        )
    if counts.size and int(counts.max()) > _MOST:
        raise DataError(f"a weight is {int(counts.max())}: how often a sample is drawn should be at most {_MOST}")
    wrong = (counts < 0).any(axis=1) | (counts.sum(axis=1) < MIN_SAMPLES)
    if wrong.any():
        raise DataError(
            f"row {int(wrong.argmax())} of the weights has a negative count, or fewer than 4 samples in all"
        )
    return torch.as_tensor(counts if counts.dtype == np.int8 else counts.astype(np.int32, copy=False))
