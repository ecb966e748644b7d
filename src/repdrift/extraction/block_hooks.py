"""Forward hooks on the blocks of a model, and on the modules inside them that give its other sites; always removed again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.records.sites import SiteLayer
from repdrift.extraction.site_hooks import OnSite, SiteHooks
from repdrift.models import Blocks
from repdrift.models.sites.taps import Tap

OnHiddenState = Callable[[int, Tensor], None]


@contextmanager
def capture_hidden_states(
    blocks: Blocks,
    layers: Sequence[int],
    on_hidden_state: OnHiddenState,
    taps: Mapping[SiteLayer, tuple[Tap, ...]] | None = None,
    on_site: OnSite | None = None,
) -> Generator[None]:
    """Inside the `with` block, call `on_hidden_state(layer, hidden)` with the hidden state (b, t, d) after each chosen block.

    The hidden state is the residual stream after the block, before any final norm. `blocks.root` may be run any number of
    times. taps: other sites to read in the same pass; `on_site(place, hidden)` is called with each, (b, t, d), before the model can change
    it in place. The hooks are removed on leaving, also after an error. A compiled model runs without its compilation here,
    because the compiler ignores hooks that are set later.
    Raises ModelError, from within the forward pass, if the blocks are not run once each in their order, or do not give a
    hidden state with the input's batch and tokens and with the width that they take.
    """
    forward_pass = _ForwardPass(blocks, frozenset(layers), on_hidden_state)
    handles = []
    try:
        # One at a time: if a hook cannot be set, those before it are still removed.
        handles.append(blocks.root.register_forward_pre_hook(forward_pass.start, with_kwargs=True))
        for outlet in dict.fromkeys(blocks.outlets):
            handles.append(outlet.register_forward_hook(forward_pass.after_block, with_kwargs=True))  # noqa: PERF401
        if taps and on_site is not None:
            SiteHooks(blocks, taps, on_site, lambda: forward_pass.due, lambda: forward_pass.token_shapes).add_to(
                handles
            )
        with _eager_if_compiled(blocks.root):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _ForwardPass:
    """The forward pass under way, and which block is due in it. A block that is run twice is two layers."""

    def __init__(self, blocks: Blocks, layers: frozenset[int], on_hidden_state: OnHiddenState) -> None:
        self.blocks = blocks
        self.layers = layers
        self.on_hidden_state = on_hidden_state
        self.due = 0
        self.token_shapes: set[tuple[int, ...]] = set()

    def start(self, _root: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before the model runs: note that the first block is due."""
        self.due = 0
        self.token_shapes = {tuple(tensor.shape[:2]) for tensor in _tensors(args, kwargs) if tensor.dim() >= 2}

    def after_block(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        """After a block: check that it was due and gives a hidden state, and pass that on."""
        layer = self.due
        if layer >= len(self.blocks) or self.blocks.outlets[layer] is not module:
            raise ModelError(self._out_of_order(module))
        self.due += 1
        if layer in self.layers:
            hidden = self.blocks.hidden_state(output)
            fault = self._fault(hidden, _tensors(args, kwargs))
            if fault:
                raise ModelError(
                    f"block {layer} ({type(module).__name__}) of {self.blocks.path!r} gives {fault}: these modules are not the "
                    "model's blocks. Name the right list with blocks='...' (--blocks on the command line)."
                )
            self.on_hidden_state(layer, hidden)

    def _out_of_order(self, module: nn.Module) -> str:
        found = [number for number, outlet in enumerate(self.blocks.outlets) if outlet is module]
        due = f"block {self.due} was due" if self.due < len(self.blocks) else "all blocks had been run"
        return (
            f"block {found[0]} ({type(module).__name__}) of {self.blocks.path!r} was run when {due}: the blocks are not run once "
            "each in the order of the list, so the list does not say which layer is which"
        )

    def _fault(self, hidden: Any, taken: Iterator[Tensor]) -> str | None:
        if not isinstance(hidden, Tensor):
            return f"a {type(hidden).__name__}, expected a hidden state of shape (batch, tokens, features)"
        if hidden.dim() != 3 or not hidden.is_floating_point():
            return f"{tuple(hidden.shape)} of {hidden.dtype}, expected floats of shape (batch, tokens, features)"
        if self.token_shapes and tuple(hidden.shape[:2]) not in self.token_shapes:
            given = " or ".join(map(str, sorted(self.token_shapes)))
            return f"{tuple(hidden.shape)}, but the model was given (batch, tokens) = {given}"
        width = next((t.shape[2] for t in taken if t.dim() == 3 and t.is_floating_point()), hidden.shape[2])
        if width != hidden.shape[2]:
            return f"{hidden.shape[2]} features, but takes a hidden state of {width}"
        return None


def _tensors(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    return (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))


def _eager_if_compiled(root: nn.Module) -> AbstractContextManager[Any]:
    # Only if it is compiled: attention kernels that transformers compiles for itself are better left alone.
    compiled = any(
        isinstance(getattr(module, "_orig_mod", None), nn.Module)  # torch.compile(module)
        or getattr(module, "_compiled_call_impl", None) is not None  # module.compile()
        or hasattr(module.forward, "_torchdynamo_orig_callable")  # module.forward = torch.compile(module.forward)
        for module in root.modules()
    )
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()
