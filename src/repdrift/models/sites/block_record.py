"""The record of one run of a block: every module's input and output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.models.blocks import first_tensor


@dataclass
class ModuleCall:
    """One run of a module inside a block. given, gave: (b, t, d) as the residual stream is, or None for any other shape.

    name: of the module inside its block. times: how often the module ran.
    """

    name: str
    module: nn.Module
    given: Tensor | None = None
    gave: Tensor | None = None
    times: int = 0


@dataclass
class BlockRecord:
    """One run of one block. before, after: the residual stream (b, t, d) that it was given and gave.

    calls: of its modules, in the order in which they ended. kinds: the class of every module in the block, by name.
    """

    layer: int
    block: nn.Module
    before: Tensor
    after: Tensor | None = None
    calls: list[ModuleCall] = field(default_factory=list[ModuleCall])
    modules: dict[str, nn.Module] = field(default_factory=dict[str, nn.Module])

    @property
    def single(self) -> list[ModuleCall]:
        """The calls of modules that ran once, in the order in which they ended."""
        return [call for call in self.calls if call.times == 1]


class BlockRecorder:
    """Takes the record of the block that runs now, by hooks that `handles` removes.

    as_stream: turns what a module gives into the shape (b, t, d) of the residual stream, or None.
    """

    def __init__(self, block: nn.Module, layer: int, before: Tensor) -> None:
        self.record = BlockRecord(layer, block, before, modules=dict(block.named_modules()))
        self._shape = before.shape
        self._calls: dict[nn.Module, ModuleCall] = {}
        self.handles: list[Any] = []

    def watch(self, hidden_state: Callable[[Any], Any]) -> None:
        """Set the hooks on every module inside the block."""
        for name, module in self.record.modules.items():
            if not name:
                continue
            call = self._calls.setdefault(module, ModuleCall(name, module))
            if call.name != name:
                continue

            def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], call: ModuleCall = call) -> None:
                call.times += 1
                call.given = next(self._streams((*args, *kwargs.values()), hidden_state), None)

            def after(_: nn.Module, __: Any, output: Any, call: ModuleCall = call) -> None:
                call.gave = as_stream(first_tensor(output), self._shape, hidden_state)
                call.gave = None if call.gave is None else kept(call.gave)
                self.record.calls = [c for c in self.record.calls if c is not call] + [call]

            self.handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            self.handles.append(module.register_forward_hook(after))

    def done(self) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def _streams(self, values: Iterable[Any], hidden_state: Callable[[Any], Any]) -> Iterator[Tensor]:
        for value in values:
            found = as_stream(value, self._shape, hidden_state)
            if found is not None:
                yield kept(found)


def kept(tensor: Tensor) -> Tensor:
    """A copy on the CPU, which the model cannot change in place; the parts of one block may lie on several devices."""
    return tensor.detach().to("cpu", copy=True)


def as_stream(value: Any, shape: torch.Size, hidden_state: Callable[[Any], Any]) -> Tensor | None:
    """`value` as (b, t, d), if it is a tensor of floats that holds one vector of d numbers for each token; else None.

    shape: (b, t, d). A tensor of (b x t, d), which mixtures of experts give, is brought into that shape. hidden_state: of `Blocks`; it
    turns a block's output, and so a module's, into (batch, tokens, features).
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    if value.dim() == 2 and value.shape[0] == shape[0] * shape[1] and value.shape[1] == shape[2]:
        return value.reshape(shape)
    if value.dim() != 3:
        return None
    stream = hidden_state((value,))
    return stream if isinstance(stream, Tensor) and stream.shape == shape else None
