"""XLNet: hidden states pass through the blocks as (tokens, batch, features)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from repdrift.models.block_search import Family, register
from repdrift.models.blocks import Blocks, listed_blocks


def _hidden_state(output: Any) -> Tensor:
    """Returns the content stream, the first entry of the output, as (batch, tokens, features)."""
    return output[0].transpose(0, 1)


def _find(model: nn.Module) -> Blocks:
    return replace(listed_blocks(model), hidden_state=_hidden_state)


FAMILY = register(Family("xlnet", _find, _hidden_state))
