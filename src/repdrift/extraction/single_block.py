"""Running one block of a model inside the model's own forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.batches.memory_budget import is_out_of_memory
from repdrift.core.errors import ModelError
from repdrift.models import Blocks


@dataclass(frozen=True)
class BlockState:
    """The return value of a block: the hidden state, and what it passes on beside it, such as T5's position bias.

    hidden: (b, t, d) in all but unusual families. extras: None if the block returns a tensor alone and not a tuple.
    """

    hidden: Tensor
    extras: tuple[Any, ...] | None = None

    def as_output(self) -> Any:
        """The value that the block returned."""
        return self.hidden if self.extras is None else (self.hidden, *self.extras)

    def with_nan_hidden(self) -> BlockState:
        """A copy whose hidden state is NaN."""
        return BlockState(torch.full_like(self.hidden, torch.nan), self.extras)

    def all_nan(self) -> BlockState:
        """A state of the same shapes in which every number is NaN."""
        extras = None if self.extras is None else tuple(_nan_like(extra) for extra in self.extras)
        return BlockState(torch.full_like(self.hidden, torch.nan), extras)


class _BlockDone(BaseException):
    """Ends the forward pass behind the block. It is no `Exception`, so that no model takes it for one of its own."""


class SingleBlockRunner:
    """Runs one of `blocks` with everything that the model's own loop gives it: masks, positions, kinds of attention.

    During the forward pass the blocks before it are replaced. The one directly before it returns the state that the
    caller passes in. Those further back return NaN: if the block depends on one of them, this is found out, and no wrong
    number is computed. The forward pass ends behind the block.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._layer = 0
        self._to_end = False
        self._before: BlockState | None = None
        self._after: BlockState | None = None
        self._done = False
        self._calls: Counter[nn.Module] = Counter()

    @property
    def has_run(self) -> bool:
        """True within the forward pass once the block itself has run, and not what stands in for it."""
        return self._after is not None

    @contextmanager
    def only(
        self, layer: int, *, to_end: bool = False
    ) -> Generator[Callable[[Mapping[str, Any], BlockState | None], BlockState]]:
        """Gives a function `run_block(inputs, before)` that returns the state after block `layer`.

        to_end: of the last block, let the model run on behind it, to its final norm. inputs: of the whole model. before: the state after the block before it, or None for block 0.
        The forward methods of the modules are restored on leaving. Raises ModelError if the model cannot be run like this.
        """
        self._layer, self._to_end = layer, to_end
        replaced: list[tuple[nn.Module, Any]] = []
        outlets = {outlet: number for number, outlet in enumerate(self._blocks.outlets) if not self._is_block(outlet)}
        try:
            for module in dict.fromkeys((*self._blocks.modules, *outlets)):
                replaced.append((module, module.__dict__.get("forward")))
                module.forward = (
                    self._outlet_stand_in(outlets[module], module.forward)
                    if module in outlets
                    else self._block_stand_in(module, module.forward)
                )
            yield self._run
        finally:
            for module, own in replaced:
                module.__dict__.pop("forward", None)
                if own is not None:
                    module.forward = own

    def hidden_state(self, state: BlockState, tokens: torch.Size) -> Tensor:
        """The hidden state (b, t, d) in `state`. Raises ModelError if b and t are not `tokens`, the batch's shape."""
        hidden = self._blocks.hidden_state(state.as_output())
        if not isinstance(hidden, Tensor) or hidden.dim() != 3 or hidden.shape[:2] != tokens:
            found = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
            raise ModelError(
                f"block {self._layer} of {self._blocks.path!r} gives {found}, expected a hidden state of shape (batch, tokens, "
                f"features) for (batch, tokens) = {tuple(tokens)}: these modules are not the model's blocks. Name the right "
                "list with blocks='...' (--blocks on the command line)."
            )
        return hidden

    def _run(self, inputs: Mapping[str, Any], before: BlockState | None) -> BlockState:
        self._before, self._after, self._done = before, None, False
        self._calls.clear()
        try:
            self._blocks.root(**inputs)
        except _BlockDone:
            pass
        except (ModelError, MemoryError):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise self._cannot_run(f"its forward pass failed with {type(error).__name__}: {error}") from error
        finally:
            self._before = None
        after, self._after = self._after, None
        if after is None or not self._done:
            raise self._cannot_run("that block was not run in the forward pass")
        return after

    def _is_block(self, module: nn.Module) -> bool:
        return any(module is block for block in self._blocks.modules)

    def _has_outlet(self, layer: int) -> bool:
        """True if the hidden state after this block is the output of another module, where it is then replaced and read."""
        return self._blocks.outlets[layer] is not self._blocks.modules[layer]

    def _block_stand_in(self, module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        layers = [layer for layer, block in enumerate(self._blocks.modules) if block is module]

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            # A module that serves as several blocks (ALBERT) is the next of them at each call.
            layer = layers[min(self._calls[module], len(layers) - 1)]
            self._calls[module] += 1
            if layer > self._layer:
                raise self._cannot_run(f"block {layer} is run before it")
            if self._before is not None and layer < self._layer:
                if layer < self._layer - 1:
                    return self._before.all_nan().as_output()
                before = self._before.with_nan_hidden() if self._has_outlet(layer) else self._before
                return before.as_output()
            self._require_no_nan(args, kwargs)
            output = forward(*args, **kwargs)
            self._after = self._state_of(output)
            if self._has_outlet(layer):
                return output
            self._done = True
            if self._to_end:
                return output
            raise _BlockDone

        return stand_in

    def _outlet_stand_in(self, layer: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            if self._before is not None and layer < self._layer:
                return (self._before if layer == self._layer - 1 else self._before.all_nan()).hidden
            hidden = forward(*args, **kwargs)
            if self._after is None or not isinstance(hidden, Tensor):
                raise self._cannot_run("the module behind it gives no tensor, or is run before it")
            self._after = BlockState(hidden, self._after.extras)
            self._done = True
            if self._to_end:
                return hidden
            raise _BlockDone

        return stand_in

    def _require_no_nan(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self._before is None or bool(torch.isnan(self._before.hidden).any()):
            return
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.is_floating_point() and bool(torch.isnan(value).any()):
                raise self._cannot_run("it depends on the output of blocks further back than the one before it")

    def _state_of(self, output: Any) -> BlockState:
        hidden, *extras = output if isinstance(output, (tuple, list)) else (output,)
        if not isinstance(hidden, Tensor):
            raise self._cannot_run(f"it gives a {type(hidden).__name__}, not a tensor or a tuple that starts with one")
        for extra in extras:
            if extra is not None and not isinstance(extra, (Tensor, bool, int, float)):
                raise self._cannot_run(f"it passes on a {type(extra).__name__} beside the hidden state")
        return BlockState(hidden, tuple(extras) if isinstance(output, (tuple, list)) else None)

    def _cannot_run(self, why: str) -> ModelError:
        return ModelError(
            f"block {self._layer} of {type(self._blocks.root).__name__} cannot be run by itself: {why}. "
            "Use the sample-major schedule (--schedule sample)."
        )


def _nan_like(extra: Any) -> Any:
    if not isinstance(extra, Tensor):
        return extra
    value = extra.new_full((), torch.nan) if extra.is_floating_point() else extra.new_zeros(())
    return value.expand(extra.shape)
