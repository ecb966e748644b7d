"""Forward hooks on a model's blocks that are always removed again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from repdrift.core.errors import ModelError

OnHiddenState = Callable[[int, Tensor], None]


@contextmanager
def capture_blocks(
    blocks: Sequence[nn.Module], layers: Sequence[int], on_hidden_state: OnHiddenState
) -> Generator[None]:
    """Call `on_hidden_state(layer, hidden)` with the output of each chosen block, (b, t, d), inside the `with` block.

    The hidden state is the residual stream after the block, before any final norm. Hooks are removed on leaving,
    whatever happened.
    """
    handles = []
    try:
        for layer in layers:
            handle = blocks[layer].register_forward_hook(_hook(layer, on_hidden_state))
            handles.append(handle)  # one by one: if the next one cannot be set, this one is still removed
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(layer: int, on_hidden_state: OnHiddenState) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, (tuple, list)) else output
        if not isinstance(hidden, Tensor) or hidden.dim() != 3:
            found = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
            raise ModelError(
                f"block {layer} ({type(module).__name__}) gives {found}, expected a hidden state of shape (batch, tokens, "
                "features): these modules are not the model's blocks. Name the right list with blocks='...'."
            )
        on_hidden_state(layer, hidden)

    return hook
