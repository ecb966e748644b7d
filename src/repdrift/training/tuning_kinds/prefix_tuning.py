"""Prefix tuning (Li and Liang 2021): learned keys and values before those of the text, in every attention."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from repdrift.models.dimensions import width_of
from repdrift.training.prompt_learning import LOST_PREFIX, PromptKind, PromptOptions, with_prompt
from repdrift.training.tuning_kind import TunedModel, tuning_kinds


class PrefixOptions(PromptOptions):
    """Options of prefix tuning, in peft's terms."""

    projection: bool = Field(
        default=False, description="Train the prefix through an MLP as wide as the model, which is not saved."
    )


class PrefixTuning(PromptKind[PrefixOptions]):
    """Trains keys and values that every token sees before the text, and the task's new head."""

    name = "prefix_tuning"
    title = "prefix tuning"
    options = PrefixOptions
    usual_rates = (1e-3, 1e-2)
    against_checkpointing = LOST_PREFIX

    def prepare(self, model: nn.Module, options: PrefixOptions, task_kind: str) -> TunedModel:
        """Put the prefix on `model`. Raises ModelError for a model that takes no past keys and values."""
        from peft import PrefixTuningConfig

        width = width_of(model.config) if options.projection else None
        config = PrefixTuningConfig(
            num_virtual_tokens=options.virtual_tokens,
            prefix_projection=options.projection,
            encoder_hidden_size=width,  # pyright: ignore[reportArgumentType] (None where it is not used)
        )
        return with_prompt(model, config, task_kind, what=self.title)


tuning_kinds.add("prefix_tuning", PrefixTuning())
