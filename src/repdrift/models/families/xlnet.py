"""XLNet: hidden states pass through the blocks as (tokens, batch, features), and no module gives what attention adds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.models.block_search import Family, register
from repdrift.models.blocks import Blocks, listed_blocks
from repdrift.models.sites.block_record import BlockRecord
from repdrift.models.sites.sums import adds_up
from repdrift.models.sites.taps import BlockSites, Tap


def _hidden_state(output: Any) -> Tensor:
    """Returns the content stream, the first entry of the output, as (batch, tokens, features)."""
    return output[0].transpose(0, 1)


def _find(model: nn.Module) -> Blocks:
    return replace(listed_blocks(model), hidden_state=_hidden_state)


def _sites(record: BlockRecord) -> BlockSites:
    """The sites of an XLNet block: attention adds what its norm is given, less what the block is given.

    The output projection is a product of plain tensors inside the attention, so no module's output is that sum's second term.
    """
    calls = {call.name: call for call in record.single}
    try:
        norm, last, mlp = (calls[name] for name in ("rel_attn.layer_norm", "ff.layer_norm", "ff.layer_2"))
        given = (norm.given, norm.gave, last.given, last.gave, mlp.gave)
    except KeyError as error:
        why = f"the block ({type(record.block).__name__}) has no {error.args[0]}"
        return BlockSites({}, {}, {"attn_out": why, "mlp_out": why})
    after = record.after
    if after is None or any(tensor is None for tensor in given):
        why = f"what the parts of the block ({type(record.block).__name__}) give is not of the shape of its input"
        return BlockSites({}, {}, {"attn_out": why, "mlp_out": why})
    _, hidden, summed, gave, added = (tensor for tensor in given if tensor is not None)
    eps = torch.finfo(record.before.dtype).eps
    if not adds_up([hidden.double(), added.double()], summed.double(), eps) or not torch.equal(gave, after):
        why = f"the outputs of {norm.name} and {mlp.name} do not add up to what {last.name} is given"
        return BlockSites({}, {}, {"attn_out": why, "mlp_out": why})
    attention = (Tap(norm.module, norm.name, reads="input"), Tap(record.block, "", scale=-1.0, reads="input"))
    law = f"resid_post = {last.name}({norm.name}(resid_pre + attn_out) + {mlp.name}), attn_out by difference"
    return BlockSites({"attn_out": attention, "mlp_out": (Tap(mlp.module, mlp.name),)}, {}, {}, law)


FAMILY = register(Family("xlnet", _find, _hidden_state, _sites))
