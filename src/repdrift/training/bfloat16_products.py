"""Products of bfloat16 numbers on processors without instructions for them: in float32, and rounded once.

PyTorch's own kernels convert number by number there, the slower the more a matrix is read across its rows, as a backward pass does. A product of two
bfloat16 numbers is exact in float32, so that what is rounded here is what native instructions round too: the sums, and the result.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from repdrift.training.options import Precision, quick_precision

_ATEN = torch.ops.aten
_PRODUCTS = frozenset(
    {_ATEN.mm.default, _ATEN.addmm.default, _ATEN.bmm.default, _ATEN.baddbmm.default}
    | {_ATEN.matmul.default, _ATEN.linear.default}  # as they arrive where no gradient is asked for
)


def products_in(precision: Precision, *, compiled: bool = False) -> AbstractContextManager[object]:
    """The context in which this machine computes the products of a training quickly. compiled: by torch.compile, which a context does not reach."""
    if precision == "float32" or compiled or torch.accelerator.is_available() or quick_precision() == "bfloat16":
        return nullcontext()
    return ProductsInFloat32()


class ProductsInFloat32(TorchDispatchMode):
    """Inside of it, products of bfloat16 tensors on the CPU, forward and backward, are computed in float32 and rounded to bfloat16."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func not in _PRODUCTS or not all(map(_is_bfloat16, args)):
            return func(*args, **(kwargs or {}))
        return func(*map(_in_float32, args), **(kwargs or {})).bfloat16()


def _is_bfloat16(value: Any) -> bool:
    return not isinstance(value, Tensor) or (value.dtype == torch.bfloat16 and value.device.type == "cpu")


def _in_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
