"""Some of the blocks: their parameters train, and nothing below or above them but the task's new head."""

from __future__ import annotations

from pydantic import Field, model_validator
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.words import counted
from repdrift.models import find_blocks, headless
from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind, train_only, tuning_kinds


class LayersOptions(KindOptions):
    """Options that choose the blocks: the last ones, or those with these numbers (0 is the first)."""

    last: int | None = Field(
        default=None, ge=1, le=100_000, description="The number of blocks that train, from the top."
    )
    layers: tuple[int, ...] | None = Field(
        default=None, min_length=1, max_length=100_000, description="The numbers of the blocks that train, from 0."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> LayersOptions:
        if (self.last is None) == (self.layers is None):
            raise ValueError("give either last (the number of blocks from the top) or layers (their numbers, from 0)")
        return self


class Layers(TuningKind[LayersOptions]):
    """Trains some blocks and the task's new head."""

    name = "layers"
    title = "some layers"
    options = LayersOptions
    usual_rates = (1e-5, 1e-4)

    def prepare(self, model: nn.Module, options: LayersOptions, task_kind: str) -> TunedModel:
        """Give gradients to the chosen blocks of `model` and its head."""
        blocks = find_blocks(headless(model)).modules
        depth = len(blocks)
        wanted = options.layers if options.layers is not None else tuple(range(depth - (options.last or 0), depth))
        if outside := [number for number in wanted if not 0 <= number < depth]:
            asked = f"layer {outside[0]}" if options.layers is not None else f"the last {options.last}"
            raise ModelError(
                f"{type(model).__name__} has {counted(depth, 'block')}, 0 to {depth - 1}, so {asked} cannot be trained"
            )
        chosen = [parameter for number in sorted(set(wanted)) for parameter in blocks[number].parameters()]
        train_only(model, chosen, head=task_kind != "causal_lm")
        return TunedModel.of(model)


tuning_kinds.add("layers", Layers())
