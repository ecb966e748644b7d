"""Weights in 4 bits (bitsandbytes): what a layer multiplies with, held to the definition of the format (Dettmers et al. 2023).

A kernel that reads packed weights wrongly raises no error: every number after it is of another model.
"""

from __future__ import annotations

import importlib
import math
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError

_SAVED_FULL = "give a copy that was saved dequantised"


def hold_quantised_layers(model: nn.Module, where: str) -> None:
    """Check each layer that bitsandbytes made for `model`, which was read from `where`; keep 4-bit weights as they are stored.

    Raises ModelError if the files hold a layer's weight as ordinary numbers, or bitsandbytes brings back other weights than the format
    defines.
    """
    for name, layer in model.named_modules():
        if type(layer).__module__.split(".")[0] != "bitsandbytes" or not isinstance(layer, nn.Linear):
            continue
        if layer.weight.dtype.is_floating_point:
            raise ModelError(
                f"{where}: config.json says that the weights are quantised (bitsandbytes), and the files hold {name} as ordinary numbers "
                f"({str(layer.weight.dtype).removeprefix('torch.')}). Take quantization_config out of config.json if they are the model's own; "
                "else save the quantised model again."
            )
        if hasattr(layer.weight, "quant_state"):
            keep_as_stored(layer)
            four_bit_weight(layer, _SAVED_FULL)


def keep_as_stored(layer: Any) -> None:
    """Stop bitsandbytes from repacking the weight of `layer`.

    On some processors it does so the first time that the layer runs for evaluation. From then on inputs are rounded to bfloat16, widths that
    are no multiple of a block end in a bare AssertionError, and no gradient passes.
    """
    layer.support_avx512bf16_for_cpu = False


def four_bit_weight(layer: Any, instead: str = "leave base_bits out") -> Tensor:
    """The weight that a 4-bit `layer` multiplies with: (outputs, inputs), float32. `instead`: what to do without a GPU, in words.

    Raises ModelError if bitsandbytes brings back something else than is stored: on a CPU with AVX-512, version 0.50 does where a row ends inside of a group.
    """
    found = _functional().dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    expected = _by_definition(layer.weight.data, layer.weight.quant_state).to(found.dtype)
    tolerance = (
        1e-3 if layer.weight.quant_state.dtype == torch.float32 else 1e-2
    )  # weights of 16 bits are rounded once more
    if not torch.allclose(found, expected, rtol=tolerance, atol=0.0):
        raise ModelError(
            f"bitsandbytes {version('bitsandbytes')} does not bring back a 4-bit weight of shape {tuple(found.shape)} as it was stored, on this "
            f"device ({found.device.type}): it is off by up to {float((found - expected).abs().max()):.2g}. On CPUs with AVX-512 this concerns layers "
            f"whose number of inputs is no multiple of 64. Take a CUDA GPU, or {instead}."
        )
    return found


def _by_definition(packed: Tensor, state: Any) -> Tensor:
    """The numbers in `packed`: two a byte, the first in the upper half, each a place in the table, times its group's scale."""
    scales = state.absmax
    if state.state2 is not None:
        scales = _functional().dequantize_blockwise(state.absmax, state.state2) + state.offset
    flat = packed.reshape(-1)
    places = torch.stack([flat >> 4, flat & 15], dim=1).reshape(-1)[: math.prod(state.shape)]
    scaled = state.code[places.int()] * scales.float().repeat_interleave(state.blocksize)[: places.numel()]
    return scaled.reshape(state.shape)


def _functional() -> Any:
    return importlib.import_module("bitsandbytes.functional")
