"""Running a model on from one block with a hidden state that the caller gives, such as another model's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.batches.memory_budget import is_out_of_memory
from repdrift.core.errors import ModelError
from repdrift.extraction.single_block import BlockState
from repdrift.models import Blocks

Run = Callable[[Mapping[str, Any]], Any]
"""Runs the whole model on its inputs, and returns what the caller reads of its output."""


@dataclass(frozen=True)
class RecordedRun:
    """A forward pass that was left as it is.

    output: what the model gave. states: by layer, the state after that block as it flows in the model.
    """

    output: Any
    states: dict[int, BlockState]


class PatchedRunner:
    """Runs a model from the block above one layer, with everything that the model's own loop gives the blocks.

    The blocks up to that layer are not run: the last of them returns the state that the caller passes in, those before it
    NaN, and so do the embeddings. A model is recorded before it is patched. If an output depends on anything below the layer but that state, it is NaN, and this is an
    error: no wrong number is computed. A block that serves as several (ALBERT) counts its calls.

    run: runs the model that holds the blocks; for example with its head.
    """

    def __init__(self, blocks: Blocks, run: Run) -> None:
        self._blocks = blocks
        self._run = run
        self._calls: Counter[nn.Module] = Counter()
        self._own: dict[nn.Module, BlockState] = {}
        """What blocks gave whose hidden state leaves another module: the shape of what stands in for them."""

    def record(self, inputs: Mapping[str, Any], layers: Sequence[int]) -> RecordedRun:
        """Runs the model as it is, and keeps a copy of the state after each of `layers`. Raises ModelError."""
        states: dict[int, BlockState] = {}
        wanted, calls = frozenset(layers), Counter[nn.Module]()

        def after(module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            numbers = [n for n, outlet in enumerate(self._blocks.outlets) if outlet is module]
            layer = numbers[min(calls[module], len(numbers) - 1)]
            calls[module] += 1
            if layer in wanted:
                state = _state_of(output, layer)
                states[layer] = BlockState(state.hidden.clone(), state.extras)  # the model may change it in place

        def keep(module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            state = _state_of(output, self._blocks.modules.index(module))
            self._own[module] = BlockState(state.hidden[:0], state.extras)

        handles: list[Any] = []
        try:
            for layer, block in enumerate(self._blocks.modules):
                if self._blocks.outlets[layer] is not block:
                    handles.append(block.register_forward_hook(keep))
            for outlet in dict.fromkeys(self._blocks.outlets):
                handles.append(outlet.register_forward_hook(after))  # noqa: PERF401  those that are set are removed
            output = self._run(inputs)
        finally:
            for handle in handles:
                handle.remove()
        if missing := sorted(wanted - states.keys()):
            raise ModelError(f"block {missing[0]} of {self._name} was not run in the forward pass")
        return RecordedRun(output, states)

    @contextmanager
    def above(self, layer: int) -> Generator[Callable[[Mapping[str, Any], BlockState], Any]]:
        """Gives a function `run(inputs, state)` that returns the output with `state` as the state after block `layer`.

        The output is what `run` of the constructor returns; whether it is finite is for the caller to see, who knows which of
        its entries are padding. The modules are as they were on leaving. Raises ModelError if the model cannot be run like this.
        """
        given: list[BlockState] = []
        outlets = {outlet: n for n, outlet in enumerate(self._blocks.outlets) if outlet is not self._blocks.modules[n]}
        replaced: list[tuple[nn.Module, Any]] = []
        handles: list[Any] = []

        def run(inputs: Mapping[str, Any], state: BlockState) -> Any:
            given[:] = [state]
            self._calls.clear()
            try:
                return self._run(inputs)
            except (ModelError, MemoryError):
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise self.cannot_patch(
                    layer, f"its forward pass failed with {type(error).__name__}: {error}"
                ) from error
            finally:
                given.clear()

        try:
            for module in dict.fromkeys(self._blocks.modules):
                replaced.append((module, module.__dict__.get("forward")))
                module.forward = self._block_stand_in(module, layer, given)
            for module, number in outlets.items():
                replaced.append((module, module.__dict__.get("forward")))
                module.forward = _outlet_stand_in(module.forward, number, layer, given)
            embedding = _embedding_of(self._blocks.root)
            if embedding is not None:
                handles.append(embedding.register_forward_hook(lambda _module, _args, output: _nan_of(output)))
            yield run
        finally:
            for handle in handles:
                handle.remove()
            for module, own in replaced:
                module.__dict__.pop("forward", None)
                if own is not None:
                    module.forward = own

    def cannot_patch(self, layer: int, why: str) -> ModelError:
        """The error that says why a state cannot be put in after a block."""
        return ModelError(f"no other state can be put in after block {layer} of {self._name}: {why}")

    @property
    def _name(self) -> str:
        return type(self._blocks.root).__name__

    def _block_stand_in(self, module: nn.Module, patched: int, given: list[BlockState]) -> Callable[..., Any]:
        layers = [layer for layer, block in enumerate(self._blocks.modules) if block is module]
        forward = module.forward

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            layer = layers[min(self._calls[module], len(layers) - 1)]
            self._calls[module] += 1
            if layer > patched:
                return forward(*args, **kwargs)
            state = given[0]
            if layer < patched or self._blocks.outlets[layer] is not module:
                extras = self._own[module].all_nan().extras if module in self._own else state.all_nan().extras
                return BlockState(state.all_nan().hidden, extras).as_output()
            # A copy, since the model may change it in place; and NaN beside it, since only the state is put in.
            return BlockState(state.hidden.clone(), state.all_nan().extras).as_output()

        return stand_in


def _outlet_stand_in(
    forward: Callable[..., Any], layer: int, patched: int, given: list[BlockState]
) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if layer > patched:
            return forward(*args, **kwargs)
        return given[0].hidden.clone() if layer == patched else given[0].all_nan().hidden

    return stand_in


def _state_of(output: Any, layer: int) -> BlockState:
    hidden, *extras = output if isinstance(output, (tuple, list)) else (output,)
    if not isinstance(hidden, Tensor):
        raise ModelError(
            f"block {layer} gives a {type(hidden).__name__}, not a tensor or a tuple that starts with one, so no state can be put in after it"
        )
    return BlockState(hidden, tuple(extras) if isinstance(output, (tuple, list)) else None)


def _embedding_of(model: nn.Module) -> nn.Module | None:
    try:
        found: Any = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Module) else None


def _nan_of(output: Any) -> Any:
    return torch.full_like(output, torch.nan) if isinstance(output, Tensor) and output.is_floating_point() else output
