"""Prompt tuning (Lester et al. 2021): learned embeddings before those of the text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from repdrift.training.prompt_learning import PromptKind, PromptOptions, with_prompt
from repdrift.training.tuning_kind import TunedModel, tuning_kinds


class PromptTuningOptions(PromptOptions):
    """Options of prompt tuning."""

    initialisation: Literal["vocabulary", "random"] = Field(
        default="vocabulary",
        description="Start of the prompt: embeddings of words drawn from the vocabulary, or standard normal numbers.",
    )


class PromptTuning(PromptKind[PromptTuningOptions]):
    """Trains embeddings of virtual tokens before the text, and the task's new head."""

    name = "prompt_tuning"
    title = "prompt tuning"
    options = PromptTuningOptions
    usual_rates = (3e-3, 3e-2)

    def prepare(self, model: nn.Module, options: PromptTuningOptions, task_kind: str) -> TunedModel:
        """Put the prompt on `model`."""
        from peft import PromptTuningConfig

        config = PromptTuningConfig(
            num_virtual_tokens=options.virtual_tokens,
            prompt_tuning_init="SAMPLE_VOCAB" if options.initialisation == "vocabulary" else "RANDOM",
        )
        return with_prompt(model, config, task_kind, what=self.title)


tuning_kinds.add("prompt_tuning", PromptTuning())
