"""Model families whose blocks cannot be read off the structure: one file for each family, which the registry finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from repdrift.core.registry import Registry
from repdrift.models.blocks import Blocks


@dataclass(frozen=True)
class Family:
    """A family of models with unusual blocks: those whose configuration says `model_type`.

    find: returns the blocks of a model, or of a part of one; raises ModelError if it finds none. It may start from
    `repdrift.models.block_lists.listed_blocks(model)` and replace a field of the record. hidden_state: turns a block's
    output into its hidden state (batch, tokens, features) where the user names the list; None means the first tensor.
    """

    model_type: str
    find: Callable[[nn.Module], Blocks]
    hidden_state: Callable[[Any], Any] | None = None


_REGISTRY: Registry[Family] = Registry("model family", "repdrift.models.families")


def register(family: Family) -> Family:
    """Add `family` to the registry."""
    return _REGISTRY.add(family.model_type, family)


def family_of(model: nn.Module) -> Family | None:
    """Returns the family that the configuration's `model_type` names, or None for an ordinary model."""
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    return _REGISTRY.get(str(model_type)) if model_type in _REGISTRY else None
