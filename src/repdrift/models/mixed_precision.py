"""Running a model that trains in mixed precision with its weights as they are saved."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def without_mixed_precision(model: nn.Module) -> Generator[None]:
    """Runs `model` in the format of its weights inside the block, whatever it trains in.

    accelerate puts a forward in place of the model's own that computes in 16 bits, and switching autocast off around it changes nothing.
    A score that is taken through it is not the score of the weights that are saved: an input near the border falls on the other side.
    """
    put, own = vars(model).get("forward"), vars(model).get("_original_forward")
    kind = next((parameter.device.type for parameter in model.parameters()), "cpu")
    if put is not None and own is not None:
        model.forward = own
    try:
        with torch.autocast(kind, enabled=False):
            yield
    finally:
        if put is not None and own is not None:
            model.forward = put
