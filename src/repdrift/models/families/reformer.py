"""Reformer: two residual streams run side by side, so a layer has no single hidden state."""

from __future__ import annotations

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.block_search import Family, register
from repdrift.models.blocks import Blocks


def _find(model: nn.Module) -> Blocks:
    raise ModelError(
        f"{type(model).__name__} is reversible: its layers keep two residual streams, each updated from the other, so there is no "
        "single hidden state after a layer. Its representations are not defined here; use a model with one residual stream."
    )


FAMILY = register(Family("reformer", _find))
