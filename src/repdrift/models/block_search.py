"""Finding the blocks of a model: by its family where that is unusual, by its structure otherwise."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.backbone import Stack, uncompiled
from repdrift.models.block_lists import listed_blocks, named_blocks
from repdrift.models.blocks import Blocks, first_tensor
from repdrift.models.families import family_of


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
