"""The matrices of one LoRA module of peft, the weight that they change, and what peft adds to their product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class LoraFactors:
    """A (r, n) and B (m, r) of each adapter, the adapted weight, and that parameter's name inside its module.

    B A has the entries of the change, perhaps in another order (transposed for embeddings, flattened for kernels). Only its
    norm and singular values are of use.
    """

    a: list[Tensor]
    b: list[Tensor]
    weight: Tensor
    parameter: str


def reason_without_factors(module: Any, adapters: Sequence[str]) -> str | None:
    """The reason why the change by `adapters` is no product of two matrices that can be read, or None if it is one.

    module: a LoraLayer of peft.
    """
    if getattr(module, "num_experts", 1) > 1:
        return f"LoRA on {module.num_experts} stacked experts is not covered"
    for name in adapters:
        if name in module.lora_embedding_A:
            continue
        if name not in module.lora_A or not hasattr(module.lora_A[name], "weight"):
            return f"{type(module).__name__} keeps no pair of matrices A and B, not covered"
        if module.lora_A[name].weight.dim() > 2 and getattr(module.get_base_layer(), "groups", 1) > 1:
            return "LoRA on a grouped convolution is not covered"
    return None


def lora_factors(module: Any, adapters: Sequence[str]) -> LoraFactors:
    """The factors of `adapters` in a LoraLayer of peft, for which `reason_without_factors` gives None."""
    a: list[Tensor] = []
    b: list[Tensor] = []
    for name in adapters:
        if name in module.lora_embedding_A:
            a.append(module.lora_embedding_A[name])
            b.append(module.lora_embedding_B[name])
            continue
        left, right = module.lora_A[name].weight, module.lora_B[name].weight
        if left.dim() > 2:  # a convolution: B is 1 x 1, A has the kernel
            left, right = left.flatten(1), right.flatten(1)
        a.append(left)
        b.append(right)
    weight, parameter = _adapted_weight(module)
    return LoraFactors(a, b, weight, parameter)


def has_more_than_factors(module: Any, adapters: Sequence[str]) -> bool:
    """True if `adapters` change this module beyond scaling * B A: DoRA's magnitude, another variant, a bias of B."""
    return any(
        name in module.lora_magnitude_vector
        or name in module.lora_variant
        or (name in module.lora_B and getattr(module.lora_B[name], "bias", None) is not None)
        for name in adapters
    )


def _adapted_weight(module: Any) -> tuple[Tensor, str]:
    """The weight that the matrices change, and its name inside the module."""
    from peft.utils.integrations import dequantize_module_weight

    if hasattr(module, "parameter_name"):  # LoRA on a bare parameter
        return module.get_param(), module.parameter_name
    base = module.get_base_layer()
    if hasattr(base, "in_proj_weight"):
        return base.in_proj_weight, "in_proj_weight"
    return dequantize_module_weight(base), "weight"
