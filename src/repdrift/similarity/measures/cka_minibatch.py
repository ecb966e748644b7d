"""Debiased linear CKA averaged over blocks of samples, for comparison with studies that could not hold all rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import ConfigError, DegenerateInputError
from repdrift.similarity.arrays import MIN_SAMPLES, centred, in_range, require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import OF_SHAPE
from repdrift.similarity.kernels.hsic import Kernel, hsic_unbiased, hsic_unbiased_all, kernel_of_rows, uncancelled
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation


@dataclass(frozen=True, eq=False)
class Blocks:
    """Kernels of consecutive blocks of rows (n, p), each centred on its own; the rows are kept as they came."""

    rows: Tensor
    size: int
    kernels: tuple[Kernel, ...]

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.rows.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.rows.device

    @cached_property
    def self_hsic(self) -> float:
        """Sum over blocks of HSIC_u(K, K). Raises DegenerateInputError if it is not above rounding."""
        value = sum(hsic_unbiased(kernel, kernel) for kernel in self.kernels)
        if value <= sum(kernel.rounding for kernel in self.kernels):
            raise DegenerateInputError(
                "the unbiased variance of the representation within blocks is not above zero: too few distinct samples"
            )
        return value

    def permuted(self, order: Tensor) -> Blocks:
        """Put the samples in another order and deal them to blocks anew."""
        rows = self.rows[order]
        if len(self.kernels) == 1:
            return Blocks(rows, self.size, (self.kernels[0].permuted(order),))
        return Blocks(rows, self.size, _kernels(in_range(rows.to(torch.float64)), self.size))


@register
class MinibatchCka(Measure):
    """Sum over blocks of HSIC_u(K, L), over the root of the sums of HSIC_u(K, K) and HSIC_u(L, L).

    A block is `block` consecutive rows. There are as many as n / block rounds to, and the last takes what remains, half to
    one and a half blocks, so that none is too small for the estimator. Blocks weigh alike, whatever their rows.
    It depends on the order of the rows: two of them are compared only if they share a block. Up to one and a half blocks
    of rows make one block, and the value is that of `cka`. Otherwise it scatters more and has no other merit: every
    part of the ratio is unbiased either way.
    """

    name = "cka_minibatch"
    title = "CKA, linear, over minibatches"
    description = "Average over blocks of 256 rows, for comparison with the literature; depends on the order of rows."
    bounds = (0.0, 1.0)
    estimate_bounds = (-1.0, 1.0)  # as for `cka`: the sum over blocks is an inner product too
    reference = "Nguyen et al. 2021; Song et al. 2012, eq. 5"
    invariances = OF_SHAPE
    cost = "n p min(block, p) to prepare; n block to compare where block <= p, else n p q / block"
    streaming = "is an average over blocks of rows in their order: exact CKA streams, use that"

    def __init__(self, block: int = 256) -> None:
        """block: rows of one block. Raises ConfigError below 8: half a block would be too few for the estimator."""
        if block < 2 * MIN_SAMPLES:
            raise ConfigError(f"a block should have at least {2 * MIN_SAMPLES} rows, got {block}")
        self._block = int(block)

    def derive(self, representation: Representation) -> Blocks:
        """Compute the kernels of the blocks."""
        _ = representation.centred  # for its check of what varies
        return Blocks(representation.given, self._block, _kernels(representation.scaled, self._block))

    def compare(self, x: Blocks, y: Blocks) -> float:
        """CKA from the sums over blocks. Raises DegenerateInputError if a side does not vary within blocks."""
        require_paired(x.n, y.n)
        return sum(map(hsic_unbiased, x.kernels, y.kernels)) / (math.sqrt(x.self_hsic) * math.sqrt(y.self_hsic))

    def compare_all(self, xs: Sequence[Blocks], ys: Sequence[Blocks]) -> NDArray[np.float64]:
        """CKA of every two sides, block by block."""
        if not xs or not ys:
            return np.empty((len(xs), len(ys)))
        for side in (*xs, *ys):
            require_paired(xs[0].n, side.n)
        blocks = zip(*(side.kernels for side in (*xs, *ys)), strict=True)
        sums = sum(hsic_unbiased_all(kernels[: len(xs)], kernels[len(xs) :]).cpu().numpy() for kernels in blocks)
        scale = [[math.sqrt(x.self_hsic) * math.sqrt(y.self_hsic) for y in ys] for x in xs]
        return np.asarray(sums) / np.array(scale)


def _kernels(scaled: Tensor, size: int) -> tuple[Kernel, ...]:
    """A kernel of each block of float64 rows (n, p)."""
    n = scaled.shape[0]
    starts = [size * i for i in range(max(1, (n + size // 2) // size))]
    return tuple(_kernel(scaled[start:stop]) for start, stop in zip(starts, [*starts[1:], n], strict=True))


def _kernel(rows: Tensor) -> Kernel:
    return uncancelled(kernel_of_rows(centred(rows)), lambda: rows)
