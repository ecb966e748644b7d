"""Reading a stored weight as matrices of (outputs, inputs), whichever way round its module keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

_NO_MAPS = ("A_log", "mask_emb", "seg_embed", "bias")
"""Ends of the names of parameters with several dimensions that multiply no vector."""
_INPUTS_FIRST = ("rel_attn.q", "rel_attn.k", "rel_attn.v", "rel_attn.r")
"""Parameters of XLNet, (width, heads, features of a head), that take a vector of the width."""


@dataclass(frozen=True)
class Layout:
    """The way from a stored weight to matrices whose rows are outputs and whose columns are inputs.

    kind: `vector` for what is no matrix (biases, gains), `matrix`, or `stack` for several matrices one behind the other, such as
    a layer's experts. transposed: the module keeps inputs first, as GPT-2's linear layers and every embedding do, whose
    output is a row of it.
    """

    kind: str
    transposed: bool = False

    def matrix(self, tensor: Tensor, number: int | None = None) -> Tensor:
        """Returns the matrix, or the one at `number` of a stack, as a view of `tensor`; a vector is flattened."""
        if self.kind == "vector":
            return tensor.reshape(-1)
        part = tensor if number is None else tensor[number]
        part = part.flatten(1)
        return part.T if self.transposed else part

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of one matrix of a weight whose stored shape is `stored`."""
        sizes = stored[1:] if self.kind == "stack" else stored
        if self.kind == "vector":
            return (_product(stored),)
        first, second = sizes[0], _product(sizes[1:])
        return (second, first) if self.transposed else (first, second)


def layout_of(module: nn.Module | None, name: str, shape: tuple[int, ...]) -> Layout:
    """Returns the layout of the parameter `name` of `shape`, which `module` owns; None if the module is not known.

    name: in full, or the end of it. An unknown module is taken to keep outputs first, as nearly all do.
    """
    from transformers.pytorch_utils import Conv1D

    owner, _, own = name.rpartition(".")
    if len(shape) < 2 or own.endswith(_NO_MAPS):
        return Layout("vector")
    if isinstance(module, (Conv1D, nn.Embedding, _ConvTransposeNd)):
        return Layout("matrix", transposed=True)
    if len(shape) == 2 or isinstance(module, _ConvNd):
        return Layout("matrix")
    if f"{owner.rpartition('.')[2]}.{own}" in _INPUTS_FIRST:
        return Layout("matrix", transposed=True)
    if len(shape) == 3 and (hasattr(module, "num_experts") or "expert" in name):
        return Layout("stack", transposed=bool(getattr(module, "is_transposed", False)))
    return Layout("matrix")


def _product(sizes: tuple[int, ...]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
