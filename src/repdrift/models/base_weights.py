"""Checksums of a base model's own tensors, by which adapters that lie on it are known to have left it as it was.

peft writes through `.data`, so that version counters of tensors miss what it does. A checksum reads every byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

_WRAPPER_PARTS = ("base_layer", "original_module", "modules_to_save", "token_adapter")
"""What peft puts into the name of a tensor that lies inside one of its wrappers."""


class BaseWeights:
    """The tensors of a model before adapters are put on it: their names, and a CRC-32 of the bytes of each.

    CRC-32 finds every change within one run of 32 bits, and misses any other with a chance of 2^-32. It reads memory at
    about 6 GB/s.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._saved = set(backbone.state_dict())
        self._before = {name: checksum(tensor) for name, tensor in _named(backbone)}

    def changed(self, *, passing: bool = True) -> list[str]:
        """The names of the tensors that hold other bytes now, or are gone, in the model's order.

        passing: False leaves out buffers that are not saved with a model, some of which it rewrites while it runs (rotary
        frequencies).
        """
        names = (name for name in self._before if passing or name in self._saved)
        return [name for name in names if self._differs(name)]

    def tensors(self) -> dict[str, Tensor]:
        """The base model's tensors as they are now, by name, without those that are gone."""
        found = {name: tensor_under_adapters(self._backbone, name) for name in self._before}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def _differs(self, name: str) -> bool:
        tensor = tensor_under_adapters(self._backbone, name)
        return tensor is None or checksum(tensor) != self._before[name]


def checksum(tensor: Tensor) -> int:
    """CRC-32 of the tensor's bytes; of a tensor on the meta device, which has none, 0."""
    if tensor.is_meta or tensor.numel() == 0:
        return 0
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return zlib.crc32(data.numpy().data)


def name_under_adapters(backbone: nn.Module, name: str) -> str | None:
    """The name in `backbone` of the base model's tensor that a tensor of an adapter's files would be written into, or None.

    name: in the file; what comes before the backbone's own name is passed over, as are the names that peft gives to the
    module inside a wrapper.
    """
    parts = [part for part in name.split(".") if part not in _WRAPPER_PARTS]
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if tensor_under_adapters(backbone, end) is not None), None)


def tensor_under_adapters(backbone: nn.Module, name: str) -> Tensor | None:
    """The base model's tensor that was called `name` before peft wrapped modules of `backbone`; None if it is gone."""
    *path, last = name.split(".")
    module = without_wrappers(backbone)
    for part in path:
        found = getattr(module, part, None)
        if not isinstance(found, nn.Module):
            return None
        module = without_wrappers(found)
    tensor = getattr(module, last, None)
    return tensor if isinstance(tensor, Tensor) else None


def without_wrappers(module: nn.Module) -> nn.Module:
    """The base model's module inside peft's wrappers; a module that is not wrapped is returned as it is."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    while True:
        if isinstance(module, BaseTunerLayer):
            module = module.base_layer  # pyright: ignore[reportAttributeAccessIssue]
        elif isinstance(module, AuxiliaryTrainingWrapper):
            module = module.original_module  # pyright: ignore[reportAssignmentType]
        else:
            return module


def _named(backbone: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from backbone.named_parameters(remove_duplicate=False)
    yield from backbone.named_buffers(remove_duplicate=False)
