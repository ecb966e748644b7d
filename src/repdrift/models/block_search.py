"""Finding the blocks of a model: as its family says where that is unusual, by its structure otherwise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import Stack
from repdrift.core.registry import Registry
from repdrift.models.backbone import uncompiled
from repdrift.models.blocks import Blocks, first_tensor, listed_blocks, named_blocks
from repdrift.models.sites.block_record import BlockRecord
from repdrift.models.sites.taps import BlockSites


@dataclass(frozen=True)
class Family:
    """A family of models with unusual blocks: those whose configuration says `model_type`.

    find: returns the blocks of a model, or of a part of one; raises ModelError if it finds none. It may start from
    `listed_blocks(model)` and replace a field of the record. hidden_state: turns a block's
    output into its hidden state (batch, tokens, features) where the user names the list; None means the first tensor.
    sites: finds what attention and MLP add in the record of one block; None means by the usual laws (`sites.search`).
    """

    model_type: str
    find: Callable[[nn.Module], Blocks]
    hidden_state: Callable[[Any], Any] | None = None
    sites: Callable[[BlockRecord], BlockSites] | None = None


_REGISTRY: Registry[Family] = Registry("model family", "repdrift.models.families")


def register(family: Family) -> Family:
    """Add `family` to the registry."""
    return _REGISTRY.add(family.model_type, family)


def family_of(model: nn.Module) -> Family | None:
    """Returns the family that the configuration's `model_type` names, or None for an ordinary model."""
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    return _REGISTRY.get(str(model_type)) if model_type in _REGISTRY else None


def find_blocks(model: nn.Module, *, path: str | None = None, stack: Stack | None = None) -> Blocks:
    """Find the blocks of `model`, which is also the module that will be run.

    The blocks are the one `ModuleList` that is as long as the configured depth and lies inside no other such list,
    unless a file in `models/families` says otherwise. path: names the list, for example "encoder.layer"; a `ModuleList`
    or `Sequential`. stack: the half of an encoder-decoder model; None means the encoder.
    Raises ModelError that names the lists found, if none fits, several do, or `path` is none of them.
    """
    return replace(_found(uncompiled(model), path, stack), root=model)


def _found(model: nn.Module, path: str | None, stack: Stack | None) -> Blocks:
    family = family_of(model)
    if path is None:
        return listed_blocks(model, stack=stack) if family is None else family.find(model)
    named = named_blocks(model, path)
    if family is None:
        return named
    with suppress(ModelError):  # the user may name a list where the family finds none
        known = family.find(model)
        if known.path == path:
            return known
    return replace(named, hidden_state=family.hidden_state or first_tensor)
