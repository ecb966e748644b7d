"""ALBERT: a few blocks, each of which runs several times in one forward pass."""

from __future__ import annotations

from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.block_search import Family, register
from repdrift.models.blocks import Blocks

_GROUPS = "albert_layer_groups"


def _find(model: nn.Module) -> Blocks:
    """The blocks of an ALBERT: layer i is the i-th run of an AlbertLayer.

    Each of `num_hidden_layers` steps runs one group of `inner_group_num` AlbertLayers. This gives num_hidden_layers x
    inner_group_num layers, as many as the model's own `hidden_states` has without the embeddings.
    """
    for name, transformer in model.named_modules():
        groups: Any = getattr(transformer, _GROUPS, None)
        if groups is not None:
            config: Any = transformer.config
            steps = config.num_hidden_layers
            # The group of each step is chosen as in AlbertTransformer.forward.
            order = [groups[int(step / (steps / config.num_hidden_groups))] for step in range(steps)]
            modules = tuple(layer for group in order for layer in group.albert_layers)
            return Blocks(f"{name}.{_GROUPS}".lstrip("."), modules, root=model)
    raise ModelError(
        f"the configuration of {type(model).__name__} says that it is an ALBERT, but it holds no {_GROUPS}. "
        "Name the list of blocks with blocks='...' (--blocks on the command line)."
    )


FAMILY = register(Family("albert", _find))
