"""DeBERTa-v2 and v3: where a convolution follows the first block, its output is the residual stream after that block."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from repdrift.models.block_search import Family, register
from repdrift.models.blocks import Blocks, listed_blocks


def _find(model: nn.Module) -> Blocks:
    blocks = listed_blocks(model)
    encoder = model.get_submodule(blocks.path.rpartition(".")[0])
    convolution = getattr(encoder, "conv", None)
    if not isinstance(convolution, nn.Module):
        return blocks
    return replace(blocks, outlets=(convolution, *blocks.modules[1:]))


FAMILY = register(Family("deberta-v2", _find))
