"""The record of a model's transformer blocks: the modules whose outputs are the hidden states of its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from repdrift.core.errors import UnknownNameError


def first_tensor(output: Any) -> Any:
    """Returns the output of an ordinary block as its hidden state: the output itself, or its first entry."""
    if hasattr(output, "to_tuple"):  # a ModelOutput
        output = output.to_tuple()
    return output[0] if isinstance(output, (tuple, list)) else output


@dataclass(frozen=True)
class Blocks:
    """The blocks of a model in the order of the forward pass: layer i is the i-th block that runs.

    path: the list's name inside `root`. modules: one entry for each layer; a block that runs several times stands here
    several times. root: the module whose forward pass runs the blocks. outlets: the modules whose outputs are the
    residual stream after each block; if empty, the blocks themselves. hidden_state: turns an outlet's output into the
    hidden state (batch, tokens, features).
    """

    path: str
    modules: tuple[nn.Module, ...]
    root: nn.Module
    outlets: tuple[nn.Module, ...] = ()
    hidden_state: Callable[[Any], Any] = first_tensor

    def __post_init__(self) -> None:
        if not self.outlets:
            object.__setattr__(self, "outlets", self.modules)

    def __len__(self) -> int:
        return len(self.modules)

    def select(self, layers: list[int] | None, *, model_name: str = "model") -> list[int]:
        """Returns the layer numbers in `layers`, sorted; all layers if it is None.

        Raises UnknownNameError if a layer is not in the model or is named twice.
        """
        if layers is None:
            return list(range(len(self)))
        for layer in layers:
            if not 0 <= layer < len(self):
                raise UnknownNameError(f"layer {layer} not in {model_name} ({len(self)} layers, 0 to {len(self) - 1})")
        if len(set(layers)) != len(layers):
            raise UnknownNameError(f"layers are named twice: {layers}")
        return sorted(layers)
