"""Running one block of a model by the model's own forward pass, which is entered with the state that block expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.extraction.memory_budget import is_out_of_memory
from repdrift.models import Blocks


@dataclass(frozen=True)
class BlockState:
    """What a block returns: its first tensor, and what it hands on beside it (T5's position bias).

    hidden: (b, t, d) but for unusual families. tail: None where the block returns a tensor alone and not a tuple.
    """

    hidden: Tensor
    tail: tuple[Any, ...] | None = None

    def as_output(self) -> Any:
        """As the block returns it."""
        return self.hidden if self.tail is None else (self.hidden, *self.tail)

    def with_unknown_hidden(self) -> BlockState:
        """The same with NaN for a hidden state."""
        return BlockState(torch.full_like(self.hidden, torch.nan), self.tail)

    def unknown(self) -> BlockState:
        """The same shapes, filled with NaN."""
        tail = None if self.tail is None else tuple(_unknown(part) for part in self.tail)
        return BlockState(torch.full_like(self.hidden, torch.nan), tail)


class _Reached(BaseException):
    """The block was run; nothing behind it is wanted. Not an `Exception`: no model may take it for one of its own."""


class SingleBlockRunner:
    """One of `blocks`, run with everything that the model's own loop gives it: masks, positions, kinds of attention.

    In the forward pass the blocks before `layer` are replaced: the one just before gives the state that is passed in, those
    before that give NaN, so that a model in which a block depends on more than the block before it is found out and not
    computed wrongly. The pass ends behind the block.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._layer = 0
        self._before: BlockState | None = None
        self._after: BlockState | None = None
        self._reached = False
        self._calls: Counter[nn.Module] = Counter()

    @contextmanager
    def at(self, layer: int) -> Generator[Callable[[Mapping[str, Any], BlockState | None], BlockState]]:
        """Gives `run(inputs, before)` -> the state after block `layer`; `before` is None for block 0.

        The modules' own forward methods are restored on leaving. Raises ModelError if the model cannot be run so.
        """
        self._layer = layer
        replaced: list[tuple[nn.Module, Any]] = []
        outlets = {outlet: place for place, outlet in enumerate(self._blocks.outlets) if not self._is_block(outlet)}
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
        """The hidden state (b, t, d) in `state`. Raises ModelError if it is none of the batch's (b, t) `tokens`."""
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
        self._before, self._after, self._reached = before, None, False
        self._calls.clear()
        try:
            self._blocks.root(**inputs)
        except _Reached:
            pass
        except (ModelError, MemoryError):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise self._unfit(f"its forward pass failed with {type(error).__name__}: {error}") from error
        finally:
            self._before = None
        after, self._after = self._after, None
        if after is None or not self._reached:
            raise self._unfit("that block was not run in the forward pass")
        return after

    def _is_block(self, module: nn.Module) -> bool:
        return any(module is block for block in self._blocks.modules)

    def _has_outlet(self, place: int) -> bool:
        """Whether the residual stream after this block is another module's output: it is given and taken there."""
        return self._blocks.outlets[place] is not self._blocks.modules[place]

    def _block_stand_in(self, module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        places = [place for place, block in enumerate(self._blocks.modules) if block is module]

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            # A module that serves as several blocks (ALBERT) is the next of them at each call.
            place = places[min(self._calls[module], len(places) - 1)]
            self._calls[module] += 1
            if place > self._layer:
                raise self._unfit(f"block {place} is run before it")
            if self._before is not None and place < self._layer:
                if place < self._layer - 1:
                    return self._before.unknown().as_output()
                before = self._before.with_unknown_hidden() if self._has_outlet(place) else self._before
                return before.as_output()
            self._require_known(args, kwargs)
            output = forward(*args, **kwargs)
            self._after = self._state(output)
            if self._has_outlet(place):
                return output
            self._reached = True
            raise _Reached

        return stand_in

    def _outlet_stand_in(self, place: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*args: Any, **kwargs: Any) -> Any:
            if self._before is not None and place < self._layer:
                return (self._before if place == self._layer - 1 else self._before.unknown()).hidden
            hidden = forward(*args, **kwargs)
            if self._after is None or not isinstance(hidden, Tensor):
                raise self._unfit("the module behind it gives no tensor, or is run before it")
            self._after = BlockState(hidden, self._after.tail)
            self._reached = True
            raise _Reached

        return stand_in

    def _require_known(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if self._before is None or bool(torch.isnan(self._before.hidden).any()):
            return
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.is_floating_point() and bool(torch.isnan(value).any()):
                raise self._unfit("it depends on the output of blocks further back than the one before it")

    def _state(self, output: Any) -> BlockState:
        hidden, *tail = output if isinstance(output, (tuple, list)) else (output,)
        if not isinstance(hidden, Tensor):
            raise self._unfit(f"it gives a {type(hidden).__name__}, not a tensor or a tuple that starts with one")
        for part in tail:
            if part is not None and not isinstance(part, (Tensor, bool, int, float)):
                raise self._unfit(f"it hands on a {type(part).__name__} beside the hidden state")
        return BlockState(hidden, tuple(tail) if isinstance(output, (tuple, list)) else None)

    def _unfit(self, why: str) -> ModelError:
        return ModelError(
            f"block {self._layer} of {type(self._blocks.root).__name__} cannot be run by itself: {why}. "
            "Use the sample-major schedule (--schedule sample)."
        )


def _unknown(part: Any) -> Any:
    if not isinstance(part, Tensor):
        return part
    empty = part.new_full((), torch.nan) if part.is_floating_point() else part.new_zeros(())
    return empty.expand(part.shape)
