"""Debiased CKA of every layer of one or two models with every other, with and without each part of the samples.

Each layer is prepared once. Layers whose tables do not fit into memory together are taken in blocks, and are prepared anew for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.similarity.arrays import Array
from repdrift.similarity.catalogue import measure
from repdrift.similarity.kernels.hsic import Kernel
from repdrift.similarity.kernels.hsic_grid import HsicGrid, hsic_grid, one_form
from repdrift.similarity.uncertainty.delete_group import jackknife_groups

Floats = NDArray[np.float64]

_TABLES_BYTES = 512 << 20
"""Limit for the prepared layers of one side that are held at once; two sides are held."""


@dataclass(frozen=True)
class LayerGrid:
    """CKA of La layers with Lb layers; NaN where a layer has none. values: (La, Lb). without: (P, La, Lb), without each part."""

    values: Floats
    without: Floats


@dataclass
class LayerSide:
    """All layers of one model, over the same samples.

    rows: by layer number, (n, p); widths may differ. parts: (n,), the part of each sample, 0 to P - 1; None: nothing is left out. missing: by layer, why it has no CKA.
    """

    rows: Mapping[int, Array]
    parts: NDArray[np.int64] | None
    limit_bytes: int = _TABLES_BYTES
    missing: dict[int, str] = field(default_factory=dict)
    _held: list[list[_Prepared]] | None = field(default=None, repr=False)
    _own: _Own | None = field(default=None, repr=False)

    @property
    def layers(self) -> list[int]:
        """Layer numbers, in order."""
        return sorted(self.rows)

    def blocks(self) -> Iterator[list[_Prepared]]:
        """Prepared layers, as many at a time as memory is allowed for; kept if they are one block."""
        if self._held is not None:
            yield from self._held
            return
        block: list[_Prepared] = []
        is_first = True
        for place, layer in enumerate(self.layers):
            found = self._prepared(place, layer)
            if found is None:
                continue
            block.append(found)
            size = found.kernel.table.numel() * found.kernel.table.element_size()
            if (len(block) + 1) * size > self.limit_bytes:
                yield block
                block, is_first = [], False
        if is_first:
            self._held = [block] if block else []
        if block:
            yield block

    def with_itself(self) -> LayerGrid:
        """CKA of every two layers. Raises ShapeError if a part leaves fewer than 4 samples, NonFiniteError naming the layer."""
        own = self._hsic()
        return _cka(own.grid, own.variances, own.variances, own.equal)

    def against(self, other: LayerSide) -> LayerGrid:
        """CKA of every layer with every layer of `other`, which has the same samples in the same parts.

        Layers with equal rows have a CKA of exactly 1. Raises ShapeError if the samples are not as many; and what `with_itself` raises.
        """
        size = len(self.layers), len(other.layers)
        found, equal = _empty(self._n_parts, *size), np.zeros(size, dtype=bool)
        a, b = self._hsic(), other._hsic()
        for block in self.blocks():
            for of_other in other.blocks():
                part = hsic_grid([p.kernel for p in block], [p.kernel for p in of_other], self._labels)
                places = np.ix_([x.place for x in block], [y.place for y in of_other])
                found.value[places] = part.value
                found.without[:, places[0], places[1]] = part.without
                equal[places] = _equal_layers(block, of_other)
        return _cka(found, a.variances, b.variances, equal)

    @property
    def _n_parts(self) -> int:
        return 0 if self.parts is None else int(self.parts.max()) + 1

    @property
    def _labels(self) -> Tensor | None:
        return None if self.parts is None else torch.as_tensor(self.parts)

    def _hsic(self) -> _Own:
        if self._own is None:
            size = len(self.layers), len(self.layers)
            found, equal = _empty(self._n_parts, *size), np.zeros(size, dtype=bool)
            for first, block in enumerate(self.blocks()):
                for second, other in enumerate(self.blocks()):
                    if second < first:
                        continue
                    others = block if second == first else other
                    part = hsic_grid([p.kernel for p in block], [p.kernel for p in others], self._labels)
                    rows, columns = [p.place for p in block], [p.place for p in others]
                    equal[np.ix_(rows, columns)] = _equal_layers(block, others)
                    equal[np.ix_(columns, rows)] = equal[np.ix_(rows, columns)].T
                    found.value[np.ix_(rows, columns)] = part.value
                    found.value[np.ix_(columns, rows)] = part.value.T
                    found.without[:, np.array(rows)[:, None], columns] = part.without
                    found.without[:, np.array(columns)[:, None], rows] = part.without.transpose(1, 2)
            variances = _Variances(found.value.diagonal(), found.without.diagonal(dim1=1, dim2=2))
            self._own = _Own(found, variances, equal)
        return self._own

    def _prepared(self, place: int, layer: int) -> _Prepared | None:
        try:
            kernel = one_form(measure("cka").prepare(self.rows[layer]))
            _ = kernel.self_hsic  # is undefined for layers that do not vary
        except DegenerateInputError as error:
            self.missing[layer] = str(error)
            return None
        except RepdriftError as error:
            raise type(error)(f"layer {layer}: {error}") from error
        return _Prepared(place, kernel)


@dataclass(frozen=True)
class _Prepared:
    place: int
    kernel: Kernel


@dataclass(frozen=True)
class _Variances:
    """HSIC_u of each layer with itself: (L,), and (P, L) without each part."""

    value: Tensor
    without: Tensor


@dataclass(frozen=True)
class _Own:
    grid: HsicGrid
    variances: _Variances
    equal: NDArray[np.bool_]


def _empty(n_parts: int, first: int, second: int) -> HsicGrid:
    nan = float("nan")
    return HsicGrid(
        torch.full((first, second), nan, dtype=torch.float64),
        torch.full((n_parts, first, second), nan, dtype=torch.float64),
    )


def _cka(hsic: HsicGrid, x: _Variances, y: _Variances, equal: NDArray[np.bool_]) -> LayerGrid:
    """Divides by the root of the product of both variances. NaN where one is not above 0; exactly 1 for `equal` layers, (La, Lb).

    Products of equal tables may differ in the last bit by where they stand in a grid, so that their quotient need not be 1.
    """
    scale = torch.sqrt(x.value[:, None] * y.value[None, :])
    positive = (x.without > 0)[:, :, None] & (y.without > 0)[:, None, :]
    scales = torch.sqrt(x.without[:, :, None] * y.without[:, None, :])
    same = torch.as_tensor(equal)
    values = torch.where(same & (scale > 0), 1.0, hsic.value / scale)
    without = torch.where(positive, torch.where(same, 1.0, hsic.without / scales), torch.nan)
    return LayerGrid(values.numpy(), without.numpy())


def _equal_layers(x: Sequence[_Prepared], y: Sequence[_Prepared]) -> NDArray[np.bool_]:
    """Says whether each layer of `x` has the rows of each of `y`: (layers of x, layers of y)."""
    return np.array([[_equal(a.kernel, b.kernel) for b in y] for a in x], dtype=bool).reshape(len(x), len(y))


def _equal(x: Kernel, y: Kernel) -> bool:
    return x is y or (
        x.is_gram == y.is_gram
        and x.table.dtype == y.table.dtype
        and torch.equal(x.row_sums, y.row_sums)
        and torch.equal(x.table, y.table)
    )


def sample_parts(n: int, most: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Parts of samples that stand alone: each sample is one where there are at most `most`, else `most` parts at random. (n,)."""
    return np.arange(n, dtype=np.int64) if n <= most else jackknife_groups(n, most, seed=seed)
