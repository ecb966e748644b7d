"""Debiased CKA in resamples, to the second order in (counts - 1): thin products take the place of n x n ones.

With counts w = 1 + v that sum to n and U-centred K and L, K1 = L1 = 0, so that n(n-3) HSIC_u of a resample is

    1'(K*L)1 + 2 v'(K*L)1 + v'Mv + (terms of third and fourth order),    M = K*L - (KL + LK) / (n-2).

Left out are -2/(n-2) sum_i v_i (Kv)_i (Lv)_i and (v'Kv)(v'Lv) / ((n-1)(n-2)): about 1/n of what is kept. The linear part is one thin
product for all kernels. v'Mv is small beside it, except for a few directions in which single samples or clusters weigh
much. So a, b and c (see `repdrift.similarity.uncertainty.exact_forms`) each keep the leading eigenpairs of their own M. The rest
of the three enters CKA once, weighed by its derivatives in the whole sample. It is cut to the eigenpairs that matter, or kept
whole if its spectrum is flat. The part that is cut is replaced by its expectation.

What depends on x alone (`BaseForms`) is computed once for all y. With one y at a time beside it, eight matrices n x n of float32
are held at most.
"""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.similarity.gram import gram
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.uncertainty.exact_forms import cka_of_parts
from repdrift.similarity.uncertainty.quadratic_forms import Eigenpairs, Triangles, leading
from repdrift.similarity.uncertainty.unit_kernels import UnitDifference, UnitKernel, strips

_OWN = 16
"""Eigenpairs that are kept of each of a, b and c."""

_RANKS = (48, 144)
"""Eigenpairs of the remainder that are tried before it is kept whole."""

_CUT = 1e-3
"""Share of the variance of CKA over resamples that may be cut."""

_STEADY = 0.4
"""Largest relative standard deviation over resamples (its linear part) of a variance that CKA divides by."""


class BaseForms:
    """K of one x, and the quadratic form of its variance a, split into its leading eigenpairs and the rest."""

    def __init__(self, x: Kernel) -> None:
        self.kernel = x
        self.unit = UnitKernel(x)
        self.single, _ = _filled(self.unit)
        product = self.single * self.single
        self.line = product.sum(dim=1, dtype=torch.float64)
        self.form = _of_squares(product, self.single)
        self.own = _split(self.form)
        self.constant = float(self.line.sum() + self.form.diagonal().sum(dtype=torch.float64))


class SecondOrderForms:
    """Vectors that rows of counts are multiplied with for one y, in float32. Sums are taken in float64."""

    def __init__(self, base: BaseForms, y: Kernel) -> None:
        n = y.n
        self._pairs = n * (n - 3)
        difference = UnitDifference(base.kernel, base.unit, y)
        ratio = self._ratio = difference.ratio
        # D at the size of K: a drift squared twice over would leave float32.
        d, squares = _filled(difference)
        scale = self._scale = (squares / self._pairs) ** 0.5
        if scale > 0:
            d.div_(scale)
        of_b, of_c = base.single * d, d * d
        lines = [base.line, of_b.sum(dim=1, dtype=torch.float64), of_c.sum(dim=1, dtype=torch.float64)]
        self._lines = torch.stack(lines, dim=1)
        if not self.steady:
            return
        b = _of_products(of_b, base.single, d)
        c = _of_squares(of_c, d)
        del d, of_b, of_c
        own = [base.own, _split(b), _split(c)]
        self._constants = [base.constant] + [
            float(line.sum() + form.diagonal().sum(dtype=torch.float64))
            for line, form in zip(lines[1:], (b, c), strict=True)
        ]
        line = (ratio / 2) * (lines[0] - lines[2]) + scale * lines[1]
        remainder = c.neg_().add_(base.form).mul_(ratio / 2).add_(b, alpha=scale)
        del b, c
        found = _enough(remainder, 4 * float((line - line.mean()).square().sum()))
        self._triangles = None
        self._expected = float(found.values.sum(dtype=torch.float64)) if found is not None else 0.0
        if found is None:
            self._expected = float(remainder.diagonal().sum(dtype=torch.float64))
            self._triangles = Triangles([remainder])
            found = Eigenpairs(remainder.new_empty(0), remainder.new_empty((n, 0)))
        parts = [Eigenpairs(pairs.values[0], pairs.vectors[0]) for pairs in own] + [found]
        self._vectors = torch.cat([self._lines.to(torch.float32), *(pairs.vectors for pairs in parts)], dim=1)
        self._values = torch.block_diag(*(pairs.values[:, None] for pairs in parts))

    @property
    def steady(self) -> bool:
        """True if both variances that CKA divides by are steady over resamples, not made up by a few samples.

        Otherwise there are no forms: `cka` is not to be called.
        """
        of_a, of_b, of_c = self._lines.to(torch.float32).to(torch.float64).unbind(dim=1)
        ratio, scale = self._ratio, self._scale
        of_y = ratio * ratio * of_a + 2 * ratio * scale * of_b + scale * scale * of_c
        return max(_relative_deviation(of_a), _relative_deviation(of_y)) <= _STEADY

    @property
    def is_thin(self) -> bool:
        """True if no n x n matrix is held, all that matters being in a few eigenpairs."""
        return self._triangles is None

    def cka(self, v: Tensor) -> Tensor:
        """(rows,) CKA in float64, in the resamples of counts 1 + v (rows, n), float32, where rows of v sum to 0."""
        products = v @ self._vectors
        lines = products[:, :3].to(torch.float64).T
        squares = (products[:, 3:].square_() @ self._values).to(torch.float64).T
        a, b, c = (
            (constant + 2 * line + square) / self._pairs
            for constant, line, square in zip(self._constants, lines, squares[:3], strict=True)
        )
        rest = (squares[3] if self._triangles is None else self._triangles.of(v)[0]) - self._expected
        scale = self._scale
        return cka_of_parts(a, scale * b, scale * scale * c, self._ratio) + scale * scale * rest / self._pairs


def _filled(matrix: UnitKernel | UnitDifference) -> tuple[Tensor, float]:
    """The matrix (n, n) in float32, and its squared Frobenius norm, which is taken in float64."""
    n = matrix.n
    out, squares = torch.empty((n, n), dtype=torch.float32, device=matrix.device), 0.0
    for start, stop in strips(n):
        strip = matrix.strip(start, stop, start)
        inside, beyond = strip[:, : stop - start], strip[:, stop - start :]
        squares += float(torch.linalg.vector_norm(inside)) ** 2 + 2 * float(torch.linalg.vector_norm(beyond)) ** 2
        out[start:stop, start:] = strip
        out[stop:, start:stop] = out[start:stop, stop:].T
    return out, squares


def _of_squares(product: Tensor, single: Tensor) -> Tensor:
    """M (n, n) of D with itself, from D * D, which is taken over, and D: both sides of M are orthogonal to 1."""
    product -= gram(single).mul_(2 / (len(single) - 2))
    return _centred_(product)


def _of_products(product: Tensor, k: Tensor, d: Tensor) -> Tensor:
    """M (n, n) of K and D, from K * D, which is taken over, K and D: both sides of M are orthogonal to 1."""
    both = k @ d
    product -= both.add_(both.T.clone()).div_(len(k) - 2)
    return _centred_(product)


def _centred_(form: Tensor) -> Tensor:
    rows = form.mean(dim=1)
    rows -= rows.mean() / 2
    form.sub_(rows[:, None])
    return form.sub_(rows)


def _split(form: Tensor) -> Eigenpairs:
    """Leading eigenpairs of a form (n, n), which are taken off it."""
    own = leading(form[None], _OWN)
    vectors = own.vectors[0]
    form.addmm_(vectors * own.values[0], vectors.T, alpha=-1)
    return own


def _relative_deviation(line: Tensor) -> float:
    """Standard deviation of 2 v'line over resamples, relative to 1'line."""
    return 2 * float(torch.linalg.vector_norm(line - line.mean()) / line.sum())


def _enough(form: Tensor, beside: float) -> Eigenpairs | None:
    """Values (rank,) and vectors (n, rank) that leave at most _CUT of the variance 2 ||M||_F^2 + `beside`.

    None if more of them would be needed than pays.
    """
    weight = 2 * float(torch.linalg.vector_norm(form, dtype=torch.float64)) ** 2
    allowed = _CUT * (weight + beside)
    if weight <= allowed:
        return Eigenpairs(form[0, :0], form[:, :0])
    for rank in _RANKS:
        pairs = leading(form[None], rank)
        left = weight - 2 * pairs.values[0].to(torch.float64).square().cumsum(dim=0)
        if float(left[-1]) <= allowed:
            kept = int((left > allowed).sum()) + 1
            return Eigenpairs(pairs.values[0, :kept], pairs.vectors[0, :, :kept])
    return None
