"""Full attention for models that choose between sparse and full attention by the length of what they are given (BigBird)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

SPARSE, FULL = "block_sparse", "original_full"
"""Values of `attention_type` in the configurations and modules of transformers' BigBird and BigBird-Pegasus."""


class FullAttention:
    """The full attention of a model that has sparse attention now; of any other model, nothing.

    Such a model exchanges its attention for good when it is first given a short input, and in sparse attention a row depends on how far its
    batch is padded. So rows would depend on the order and the size of batches. Weights are shared with the sparse attention, and nothing
    random is drawn.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._full: dict[nn.Module, nn.Module] = {}

    @property
    def is_needed(self) -> bool:
        """True if the model has sparse attention now."""
        return any(True for _ in _choosers(self._model))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside the `with` block the model has full attention; then its own modules again, as they were."""
        before = [(module, module.attention_type, module._modules.get("self")) for module in _choosers(self._model)]
        try:
            if before:
                self._exchange(before)
            yield
        finally:
            for module, kind, own in before:
                module.attention_type = kind
                if own is not None:
                    module._modules["self"] = own

    def _exchange(self, before: list[tuple[Any, str, nn.Module | None]]) -> None:
        for module, _, own in before:
            if own is None:
                module.attention_type = FULL
            elif own in self._full:
                module.attention_type, module._modules["self"] = FULL, self._full[own]
            else:
                with torch.device("meta"):  # its weights are replaced by those of the sparse attention at once
                    module.set_attention_type(FULL)
                self._full[own] = module._modules["self"]
            if own is not None:
                self._full[own].train(own.training)


def _choosers(model: nn.Module) -> Iterator[Any]:
    """The parts of `model` that have sparse attention now and can be given full attention, outermost first."""
    for module in model.modules():
        if hasattr(module, "set_attention_type") and getattr(module, "attention_type", None) == SPARSE:
            yield module
