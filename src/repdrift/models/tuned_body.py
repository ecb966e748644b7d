"""A tuned model without its head: a full fine-tune, an adapter on its base model, or a learned prompt."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from repdrift.models.backbone import backbone_of
from repdrift.models.learned_prompt import LearnedPrompt, learned_prompt_of
from repdrift.models.loading import load_backbone, load_tuned_backbone
from repdrift.models.lone_adapter import load_adapter_alone
from repdrift.models.model_files import ModelSource
from repdrift.models.prompt_adapter import is_learned_prompt, load_prompted


@dataclass(frozen=True)
class TunedBody:
    """The part of a tuned model that gives hidden states, in evaluation mode, on the CPU.

    prompt: the learned prompt that it is run with; None: it has none. notes: whole sentences on how it was loaded.
    """

    body: nn.Module
    prompt: LearnedPrompt | None = None
    notes: tuple[str, ...] = ()


def load_tuned_body(base: ModelSource, tuned: ModelSource, *, dtype: str = "float32") -> TunedBody:
    """Loads a tuned model without its head. Raises ModelError if it cannot be loaded, or does not fit on `base`."""
    if not tuned.is_adapter:
        return TunedBody(load_tuned_backbone(tuned, dtype=dtype))
    if is_learned_prompt(tuned):
        prompted = load_prompted(load_backbone(base, dtype=dtype), base, tuned)
        prompt = learned_prompt_of(prompted.model)
        return TunedBody(backbone_of(prompted.model, runs_prompt=True), prompt, tuple(prompted.notes[:-1]))
    adapted = load_adapter_alone(lambda: load_backbone(base, dtype=dtype), base, tuned)
    with adapted.tuned(0) as body:
        return TunedBody(body, None, tuple(adapted.notes[0]))
