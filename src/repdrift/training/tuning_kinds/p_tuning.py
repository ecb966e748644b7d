"""P-tuning (Liu et al. 2021): embeddings of virtual tokens, trained through an MLP or LSTM that is not saved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from repdrift.models.dimensions import width_of
from repdrift.training.prompt_learning import PromptKind, PromptOptions, with_prompt
from repdrift.training.tuning_kind import TunedModel, tuning_kinds


class PTuningOptions(PromptOptions):
    """Options of P-tuning, in peft's terms."""

    encoder: Literal["MLP", "LSTM"] = Field(
        default="MLP", description="The network, as wide as the model, that computes the virtual tokens in training."
    )


class PTuning(PromptKind[PTuningOptions]):
    """Trains a network that computes virtual tokens before the text, and the task's new head."""

    name = "p_tuning"
    title = "P-tuning"
    options = PTuningOptions
    usual_rates = (3e-4, 3e-3)

    def prepare(self, model: nn.Module, options: PTuningOptions, task_kind: str) -> TunedModel:
        """Put the prompt and its network on `model`."""
        from peft import PromptEncoderConfig

        config = PromptEncoderConfig(
            num_virtual_tokens=options.virtual_tokens,
            encoder_reparameterization_type=options.encoder,
            encoder_hidden_size=width_of(model.config) or 1,
        )
        return with_prompt(model, config, task_kind, what=self.title)


tuning_kinds.add("p_tuning", PTuning())
