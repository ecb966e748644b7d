"""Model families whose blocks cannot be read off the structure: one file per family; the registry finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from repdrift.core.registry import Registry
from repdrift.models.blocks import Blocks


@dataclass(frozen=True)
class Family:
    """What is unusual about the models whose configuration says `model_type`.

    find: gives the blocks of a model or of a part of it (for instance with its task head); called only if no list is
    named. It may start from `repdrift.models.block_lists.listed_blocks(model)` and replace a field of what that finds.
    Raises ModelError.
    """

    model_type: str
    find: Callable[[nn.Module], Blocks]
    hidden_state: Callable[[Any], Any] | None = None
    """From a block's output to its hidden state (b, t, d), also where the user names the list; None: the first tensor."""


_REGISTRY: Registry[Family] = Registry("model family", "repdrift.models.families")


def register(family: Family) -> Family:
    """Make a family known."""
    return _REGISTRY.add(family.model_type, family)


def family_of(model: nn.Module) -> Family | None:
    """The family of `model`, by its configuration's `model_type`; None for an ordinary one."""
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    return _REGISTRY.get(str(model_type)) if model_type in _REGISTRY else None
