"""What peft keeps in one LoRA module: its matrices, the weight they act on, and what comes on top of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Factors:
    """A (r, n) and B (m, r) of each adapter, the weight adapted, and that parameter's name inside its module.

    B A has the entries of the change, perhaps in another order (transposed for embeddings, flattened for kernels): its
    norm and singular values are what is meant.
    """

    a: list[Tensor]
    b: list[Tensor]
    weight: Tensor
    parameter: str


def factors_of(module: Any, adapters: Sequence[str]) -> Factors | str:
    """The factors of `adapters` in a peft LoraLayer, or why the change is not the product of two matrices."""
    if getattr(module, "num_experts", 1) > 1:
        return f"LoRA on {module.num_experts} stacked experts is not covered"
    a: list[Tensor] = []
    b: list[Tensor] = []
    for name in adapters:
        if name in module.lora_embedding_A:
            a.append(module.lora_embedding_A[name])
            b.append(module.lora_embedding_B[name])
            continue
        if name not in module.lora_A or not hasattr(module.lora_A[name], "weight"):
            return f"{type(module).__name__} keeps no pair of matrices A and B, not covered"
        left, right = module.lora_A[name].weight, module.lora_B[name].weight
        if left.dim() > 2:  # convolution: B is 1 x 1, A has the kernel
            if getattr(module.get_base_layer(), "groups", 1) > 1:
                return "LoRA on a grouped convolution is not covered"
            left, right = left.flatten(1), right.flatten(1)
        a.append(left)
        b.append(right)
    return Factors(a, b, *_weight(module))


def not_covered(module: Any, adapters: Sequence[str]) -> str | None:
    """What `adapters` change in this module beyond scaling * B A, in words."""
    parts: list[str] = []
    for name in adapters:
        if name in module.lora_magnitude_vector:
            parts.append("DoRA: the learned magnitude is not covered, the numbers are of scaling * B A alone")
        elif name in module.lora_variant:
            kind = type(module.lora_variant[name]).__name__
            parts.append(f"{kind}: what it does beyond scaling * B A is not covered")
        if name in module.lora_B and getattr(module.lora_B[name], "bias", None) is not None:
            parts.append("the bias of B is not covered")
    return "; ".join(dict.fromkeys(parts)) or None


def _weight(module: Any) -> tuple[Tensor, str]:
    from peft.utils.integrations import dequantize_module_weight

    if hasattr(module, "parameter_name"):  # LoRA on a bare parameter
        return module.get_param(), module.parameter_name
    base = module.get_base_layer()
    if hasattr(base, "in_proj_weight"):
        return base.in_proj_weight, "in_proj_weight"
    return dequantize_module_weight(base), "weight"
