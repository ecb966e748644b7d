"""A base model's weights as matrices: its tensors by name, and its architecture without weights, which says how each is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from repdrift.models.backbone import Stack, backbone_of
from repdrift.models.block_search import find_blocks
from repdrift.models.blocks import Blocks
from repdrift.models.configuration import load_config
from repdrift.models.loading import load_backbone
from repdrift.models.model_files import ModelSource
from repdrift.models.skeleton import backbone_skeleton
from repdrift.weights.matrix_layout import Layout, layout_of
from repdrift.weights.named_tensors import NamedTensors, named_tensors
from repdrift.weights.weight_names import WeightName

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Skeleton:
    """A model on the meta device. model: the whole of it; backbone: the part with the blocks that are looked at."""

    model: PreTrainedModel
    backbone: nn.Module
    blocks: Blocks

    @property
    def whole_path(self) -> str:
        """The name of the list of blocks inside `model`."""
        names = {module: name for name, module in self.model.named_modules()}
        return f"{names[self.backbone]}.{self.blocks.path}".lstrip(".")


@dataclass(frozen=True)
class BaseMatrices:
    """The weights of a base model: `tensors` by name, each read when it is asked for, and the architecture."""

    source: ModelSource
    tensors: NamedTensors
    skeleton: Skeleton
    blocks: str | None
    stack: Stack | None

    @property
    def blocks_path(self) -> str:
        """The name of the list of blocks inside the backbone."""
        return self.skeleton.blocks.path

    def layout(self, weight: WeightName, shape: tuple[int, ...]) -> Layout:
        """Returns how the weight is kept."""
        return layout_of(self.owner(weight), weight.name, shape)

    def owner(self, weight: WeightName) -> nn.Module | None:
        """Returns the module that owns the weight, on the meta device; None where it has no head, and where the files name it in their own way."""
        path = weight.name if weight.layer is None else f"{self.blocks_path}.{weight.layer}.{weight.name}"
        module: Any = self.skeleton.model if weight.in_head else self.skeleton.backbone
        for part in path.split(".")[:-1]:
            module = getattr(module, part, None)
            if not isinstance(module, nn.Module):
                return None
        return module

    def fresh_skeleton(self) -> Skeleton:
        """Returns the architecture once more, for an adapter to be put on."""
        return _skeleton(self.source, self.blocks, self.stack)


def base_matrices(source: ModelSource, *, blocks: str | None = None, stack: Stack | None = None) -> BaseMatrices:
    """Opens the weights of a base model; of safetensors files only the headers are read. A GGUF file is loaded whole.

    blocks, stack: as for `find_blocks`. Raises ModelError if files or configuration cannot be read, or no blocks are found.
    """
    return BaseMatrices(source, named_tensors(source), _skeleton(source, blocks, stack), blocks, stack)


def _skeleton(source: ModelSource, blocks: str | None, stack: Stack | None) -> Skeleton:
    # A class that cannot be built without weights is loaded with them.
    model = cast("PreTrainedModel", backbone_skeleton(load_config(source)) or load_backbone(source))
    backbone = backbone_of(model, stack)
    return Skeleton(model, backbone, find_blocks(backbone, path=blocks, stack=stack))
