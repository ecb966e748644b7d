"""Reformer: two residual streams run side by side, so there is none that could be called the hidden state of a layer."""

from __future__ import annotations

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.blocks import Blocks
from repdrift.models.families import Family, register


def _find(model: nn.Module) -> Blocks:
    raise ModelError(
        f"{type(model).__name__} is reversible: its layers keep two residual streams, each updated from the other, and no single "
        "hidden state after a layer. Its representations are not defined here."
    )


FAMILY = register(Family("reformer", _find))
