"""Debiased CKA in resamples, to the second order in (counts - 1): thin products take the place of n x n ones.

With counts w = 1 + v that sum to n and U-centred K and L, K1 = L1 = 0, so that n(n-3) HSIC_u of a resample is

    1'(K*L)1 + 2 v'(K*L)1 + v'Mv + (terms of third and fourth order),    M = K*L - (KL + LK) / (n-2).

Left out are -2/(n-2) sum_i v_i (Kv)_i (Lv)_i and (v'Kv)(v'Lv) / ((n-1)(n-2)): about 1/n of what is kept. The linear part is one thin
product for all kernels. v'Mv is small beside it, except for a few directions in which single samples or clusters weigh
much. So a, b and c (see `repdrift.similarity.uncertainty.exact_forms`) each keep the leading eigenpairs of their own M. The rest
of the three enters CKA once, weighed by its derivatives in the whole sample. It is cut to the eigenpairs that matter, or kept
whole if its spectrum is flat. The part that is cut is replaced by its expectation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from repdrift.similarity.gram import gram
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.uncertainty.exact_forms import cka_of_parts, decomposed
from repdrift.similarity.uncertainty.quadratic_forms import Triangles, leading

_OWN = 16
"""Eigenpairs that are kept of each of a, b and c."""

_RANKS = (48, 144)
"""Eigenpairs of the remainder that are tried before it is kept whole."""

_CUT = 1e-3
"""Share of the variance of CKA over resamples that may be cut."""

_STEADY = 0.4
"""Largest relative standard deviation over resamples (its linear part) of a variance that CKA divides by."""


class SecondOrderForms:
    """Vectors that rows of counts are multiplied with, in float32. Sums are taken in float64."""

    def __init__(self, x: Kernel, ys: Sequence[Kernel]) -> None:
        k, self._ratios, rest = decomposed(x, ys)
        self._pairs = x.n * (x.n - 3)
        # D at the size of K: a drift squared twice over would leave float32.
        self._scales = [float(torch.linalg.vector_norm(d)) / self._pairs**0.5 for d in rest]
        lines, forms = _forms(k, [d / s if s > 0 else d for d, s in zip(rest, self._scales, strict=True)])
        totals = lines.sum(dim=0)
        own = leading(forms, _OWN)
        forms -= own.rebuilt()
        self._constants = totals + forms.diagonal(dim1=1, dim2=2).sum(dim=1, dtype=torch.float64)
        self._influence = lines.to(torch.float32)
        vectors, values = list(own.vectors), list(own.values)
        self._whole: dict[int, float] = {}
        whole: list[Tensor] = []
        for number, (ratio, scale) in enumerate(zip(self._ratios, self._scales, strict=True)):
            a, b, c = 0, 1 + 2 * number, 2 + 2 * number
            remainder = (ratio / 2) * (forms[a] - forms[c]) + scale * forms[b]
            line = (ratio / 2) * (lines[:, a] - lines[:, c]) + scale * lines[:, b]
            found = _enough(remainder, 4 * float((line - line.mean()).square().sum()))
            if found is None:
                self._whole[number] = float(remainder.diagonal().sum(dtype=torch.float64))
                whole.append(remainder)
                found = remainder.new_empty((x.n, 0)), remainder.new_empty(0)
            vectors.append(found[0])
            values.append(found[1])
        self._vectors = torch.cat(vectors, dim=1)
        self._values = torch.block_diag(*(v[:, None] for v in values))
        self._expected = torch.stack([v.sum(dtype=torch.float64) for v in values[len(forms) :]])
        self._triangles = Triangles(whole) if whole else None

    @property
    def steady(self) -> list[bool]:
        """For every y: True if both variances that CKA divides by are steady over resamples, not made up by a few samples."""
        lines, found = self._influence.to(torch.float64), []
        for number, (ratio, scale) in enumerate(zip(self._ratios, self._scales, strict=True)):
            of_b, of_c = lines[:, 1 + 2 * number], lines[:, 2 + 2 * number]
            of_y = ratio * ratio * lines[:, 0] + 2 * ratio * scale * of_b + scale * scale * of_c
            found.append(max(_relative_deviation(lines[:, 0]), _relative_deviation(of_y)) <= _STEADY)
        return found

    def cka(self, w: Tensor) -> Tensor:
        """(len(ys), rows) CKA in float64, in the resamples of w (rows, n), float32, whose rows sum to n."""
        v = w - 1
        squares = ((v @ self._vectors).square_() @ self._values).to(torch.float64).T
        lines = (v @ self._influence).to(torch.float64).T
        forms = len(self._constants)
        parts = (self._constants[:, None] + 2 * lines + squares[:forms]) / self._pairs
        rest = squares[forms:] - self._expected[:, None]
        if self._triangles:
            of_all = self._triangles.of(v)
            for (number, expected), found in zip(self._whole.items(), of_all, strict=True):
                rest[number] = found - expected
        values = []
        for number, (ratio, scale) in enumerate(zip(self._ratios, self._scales, strict=True)):
            b, c = scale * parts[1 + 2 * number], scale * scale * parts[2 + 2 * number]
            values.append(cka_of_parts(parts[0], b, c, ratio) + scale * scale * rest[number] / self._pairs)
        return torch.stack(values)


def _forms(k: Tensor, rest: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Linear parts (n, forms) in float64, and M (forms, n, n) in float32, of a and of b and c of every y.

    Both sides of M are orthogonal to 1.
    """
    n = k.shape[0]
    single, single_rest = k.to(torch.float32), [d.to(torch.float32) for d in rest]
    lines, forms = [], []
    for left, right in [(single, single), *(pair for d in single_rest for pair in ((single, d), (d, d)))]:
        product = left * right
        lines.append(product.sum(dim=1, dtype=torch.float64))
        if left is right:
            product -= gram(left).mul_(2 / (n - 2))
        else:
            both = left @ right
            product -= both.add_(both.T.clone()).div_(n - 2)
        rows = product.mean(dim=1)
        rows -= rows.mean() / 2
        product -= rows[:, None] + rows
        forms.append(product)
    return torch.stack(lines, dim=1), torch.stack(forms)


def _relative_deviation(line: Tensor) -> float:
    """Standard deviation of 2 v'line over resamples, relative to 1'line."""
    return 2 * float(torch.linalg.vector_norm(line - line.mean()) / line.sum())


def _enough(form: Tensor, beside: float) -> tuple[Tensor, Tensor] | None:
    """Vectors (n, rank) and values (rank,) that leave at most _CUT of the variance 2 ||M||_F^2 + `beside`.

    None if more of them would be needed than pays.
    """
    weight = 2 * float(torch.linalg.vector_norm(form, dtype=torch.float64)) ** 2
    allowed = _CUT * (weight + beside)
    if weight <= allowed:
        return form[:, :0], form[0, :0]
    for rank in _RANKS:
        pairs = leading(form[None], rank)
        left = weight - 2 * pairs.values[0].to(torch.float64).square().cumsum(dim=0)
        if float(left[-1]) <= allowed:
            kept = int((left > allowed).sum()) + 1
            return pairs.vectors[0, :, :kept], pairs.values[0, :kept]
    return None
