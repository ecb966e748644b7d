"""ALBERT: a few blocks, each applied several times in one forward pass."""

from __future__ import annotations

from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.blocks import Blocks
from repdrift.models.families import Family, register

_GROUPS = "albert_layer_groups"


def _find(model: nn.Module) -> Blocks:
    """Layer i is the i-th application of an AlbertLayer.

    Each of `num_hidden_layers` steps runs one group of `inner_group_num` AlbertLayers, so there are
    num_hidden_layers x inner_group_num layers, as many as the model's own `hidden_states` has (less the embedding).
    """
    for name, transformer in model.named_modules():
        groups: Any = getattr(transformer, _GROUPS, None)
        if groups is not None:
            config: Any = transformer.config
            steps = config.num_hidden_layers
            # Which group a step runs, as in AlbertTransformer.forward
            order = [groups[int(step / (steps / config.num_hidden_groups))] for step in range(steps)]
            modules = tuple(layer for group in order for layer in group.albert_layers)
            return Blocks(f"{name}.{_GROUPS}".lstrip("."), modules, root=model)
    raise ModelError(f"{type(model).__name__} says that it is an ALBERT, but holds no {_GROUPS}")


FAMILY = register(Family("albert", _find))
