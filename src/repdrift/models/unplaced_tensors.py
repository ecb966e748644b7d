"""Tensors in a checkpoint's blocks for which the model, as its configuration describes it, has no place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from repdrift.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Positions, frequencies and causal masks that older versions saved, and which are computed today.
_COMPUTED = ("inv_freq", "masked_bias", "attn.bias", "attention.bias", "position_ids", "relative_position_index")
_NUMBERED = re.compile(r"\.\d+\.")


def require_placed(model: PreTrainedModel, unplaced: Iterable[str], where: str) -> None:
    """Raises ModelError if any of the tensors `unplaced` lies in the model's blocks: run without it, it is another model.

    unplaced: names in the checkpoint that nothing in `model` has. Weights of heads and of other parts may be left out.
    where: names the checkpoint in the message.
    """
    lists = {_NUMBERED.split(name)[0] for name in model.state_dict() if _NUMBERED.search(name)}
    lists |= {f"{model.base_model_prefix}.{name}" for name in lists}
    inside = [
        name
        for name in sorted(unplaced)
        if _NUMBERED.search(name) and _NUMBERED.split(name)[0] in lists and not name.endswith(_COMPUTED)
    ]
    if inside:
        raise ModelError(
            f"{where}: {len(inside)} tensors of its blocks have no place in {type(model).__name__} as config.json describes it: "
            f"{', '.join(inside[:3])}. Without them it would be another model. Do configuration and weights belong together?"
        )
