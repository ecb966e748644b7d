"""Stand-ins for 4-bit layers that have their sizes and no numbers: a training is played through with them to count its memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.training.quantised_layers import four_bit_layers

_GROUP, _SCALE_GROUP, _TABLE = 64, 256, 256
"""Numbers that share a scale, scales that share a second scale, and entries of the table of 8-bit numbers."""


def put_played_layers(model: nn.Module) -> None:
    """Put a stand-in of the same bytes in place of each 4-bit layer of `model`."""
    layers = {id(layer): _PlayedLayer(layer) for layer in four_bit_layers(model)}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in layers:
                setattr(parent, name, layers[id(child)])


def packed_bytes(numbers: int, *, double_quantisation: bool) -> int:
    """Bytes of so many numbers in 4 bits, with their scales and tables."""
    groups = math.ceil(numbers / _GROUP)
    scales = 4 * groups
    if double_quantisation:
        scales = groups + 4 * math.ceil(groups / _SCALE_GROUP) + 4 * _TABLE + 4
    return math.ceil(numbers / 2) + scales + 4 * 16


class _PlayedLayer(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        numbers = self.in_features * self.out_features
        size = packed_bytes(numbers, double_quantisation=layer.double_quantisation)
        self.register_buffer("packed", torch.empty(size, dtype=torch.uint8))
        self.bias = layer.bias
        self._dtype = layer.compute_dtype

    def forward(self, x: Tensor) -> Tensor:
        given = x.dtype
        bias = None if self.bias is None else self.bias.to(self._dtype)
        apply: Any = _Product.apply
        return apply(x.to(self._dtype), self.packed, bias, (self.out_features, self.in_features)).to(given)


class _Product(torch.autograd.Function):
    """A product with a weight that is brought back for the product, forwards and backwards, and let go after it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, bias: Tensor | None, shape: tuple[int, int]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        del packed
        ctx.shape = shape
        return nn.functional.linear(x, _brought_back(shape, x), bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient @ _brought_back(ctx.shape, gradient), None, None, None


def _brought_back(shape: tuple[int, int], like: Tensor) -> Tensor:
    scales = torch.empty(2 * shape[0] * shape[1] // _GROUP, dtype=torch.float32)
    weight = torch.empty(shape, dtype=like.dtype)
    del scales
    return weight
