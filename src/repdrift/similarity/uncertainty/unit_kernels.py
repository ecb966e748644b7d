"""U-centred kernels of size 1, made in strips of rows: float64 is never taken by more than a strip of one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from repdrift.similarity.kernels.hsic import Kernel, hsic_unbiased

_NUMBERS = 1 << 21
"""Most numbers of one strip: 16 MiB in float64."""

_STRIPS = 4
_NARROWEST = 64
"""Small matrices have strips too: a symmetric form needs of each strip only what lies from the diagonal on."""


class UnitKernel:
    """K (n, n) in float64, U-centred and scaled: rows sum to 0, the diagonal is 0, and HSIC_u with itself is 1."""

    def __init__(self, kernel: Kernel) -> None:
        n = kernel.n
        self.n, self.device = n, kernel.device
        self._kernel = kernel
        self._row_means = kernel.row_sums / (n - 2)
        self._mean = kernel.total / ((n - 1) * (n - 2))
        self._size = math.sqrt(kernel.self_hsic)

    def strip(self, start: int, stop: int, first: int = 0) -> Tensor:
        """Rows `start` to `stop` of K, from column `first` on: (stop - start, n - first)."""
        table, means = self._kernel.table, self._row_means
        if self._kernel.is_gram:
            rows = table[start:stop, first:].to(torch.float64) - means[start:stop, None]
        else:
            rows = (table[start:stop] @ table[first:].T).sub_(means[start:stop, None])
        rows.sub_(means[first:]).add_(self._mean)
        rows.diagonal(start - first).zero_()
        return rows.div_(self._size)


class UnitDifference:
    """D = L - r K (n, n) of two unit kernels, with r such that HSIC_u(K, D) = 0 in the whole sample."""

    def __init__(self, x: Kernel, k: UnitKernel, y: Kernel) -> None:
        self.ratio = hsic_unbiased(x, y) / math.sqrt(x.self_hsic) / math.sqrt(y.self_hsic)
        self.n, self.device = k.n, k.device
        self._k, self._l = k, UnitKernel(y)

    def strip(self, start: int, stop: int, first: int = 0, of_k: Tensor | None = None) -> Tensor:
        """Rows `start` to `stop` of D, from column `first` on: (stop - start, n - first). of_k: these of K, if they are at hand."""
        k = self._k.strip(start, stop, first) if of_k is None else of_k
        return self._l.strip(start, stop, first).sub_(k, alpha=self.ratio)


def strips(n: int) -> Iterator[tuple[int, int]]:
    """First row of each strip of an n x n matrix, and the row after its last."""
    height = max(1, min(_NUMBERS // n, max(_NARROWEST, -(-n // _STRIPS))))
    return ((start, min(start + height, n)) for start in range(0, n, height))
