"""A learned prompt read from its files onto a base model without head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.words import counted
from repdrift.models.adapter_contents import listed
from repdrift.models.adapter_files import adapter_config, adapter_tensors
from repdrift.models.base_weights import name_under_adapters
from repdrift.models.learned_prompt import LearnedPrompt, learned_prompt_of
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import loader_errors, quiet_transformers
from repdrift.models.trained_on import trained_on_notes

_EMBEDDINGS = "prompt_embeddings"
"""The one tensor in which peft saves what a learned prompt has become, whatever it was trained through."""


@dataclass(frozen=True)
class PromptedModel:
    """A base model without head in peft's wrapper with a learned prompt. notes: sentences that change how its numbers are read."""

    model: nn.Module
    notes: list[str]


def is_learned_prompt(adapter: ModelSource) -> bool:
    """True if the files hold a learned prompt that can be run. Raises ModelError if they hold what cannot be compared."""
    return bool(adapter_config(adapter).is_prompt_learning)


def load_prompted(backbone: nn.Module, base: ModelSource, adapter: ModelSource) -> PromptedModel:
    """Put the learned prompt in `adapter` before `backbone`, the loaded base model without head, which stays as it is.

    Raises ModelError if the files lack the prompt or hold weights of the base model, if it has another width or depth than the base
    model, or if the base model ignores it.
    """
    from peft import PeftModel

    config, tensors = adapter_config(adapter), adapter_tensors(adapter)
    stored = tensors.get(_EMBEDDINGS)
    if stored is None:
        raise ModelError(
            f"the adapter in {adapter.path} is a learned prompt, and its files hold no {_EMBEDDINGS} (they hold {listed(list(tensors))}). "
            "Save it again with save_pretrained, or copy it anew."
        )
    if inside := [name for name in tensors if name != _EMBEDDINGS and name_under_adapters(backbone, name) is not None]:
        raise ModelError(
            f"the adapter in {adapter.path} holds a learned prompt and weights of the base model ({listed(inside)}), which is not "
            "supported. Give the whole model, or a prompt alone."
        )
    unfit = f"the adapter in {adapter.path} does not fit {base.ref!r}"
    with loader_errors(unfit, "Was it trained on another base model?"), quiet_transformers():
        model: Any = PeftModel(backbone, config)  # pyright: ignore[reportArgumentType]
        model.requires_grad_(False)
    prompt = learned_prompt_of(model)
    assert prompt is not None  # noqa: S101  it was put on just now
    _fill(model.prompt_encoder["default"].embedding.weight, stored, unfit)
    model.to(next(backbone.parameters()).device).eval()
    _require_effect(prompt, model, backbone, unfit)
    return PromptedModel(model, [*trained_on_notes(config, base), prompt_note(prompt)])


def prompt_note(prompt: LearnedPrompt) -> str:
    """A sentence on how the drift of a model with a learned prompt is to be read."""
    what = "keys and values" if prompt.is_prefix else "embeddings"
    return (
        f"It is a learned prompt: {what} of {counted(prompt.tokens, 'virtual token')} before every text, and no weight of the model "
        f"differs. Rows are of the text's own tokens, which stand {counted(prompt.tokens, 'position')} later than in the base model; an "
        "untrained prompt moves them too, and how far is not measured here."
    )


def _fill(weight: Tensor, stored: Tensor, unfit: str) -> None:
    if weight.shape != stored.shape:
        raise ModelError(
            f"{unfit}: its prompt is {tuple(stored.shape)} (virtual tokens, numbers each), and the base model takes {tuple(weight.shape)}. "
            "Was it trained on another base model?"
        )
    with torch.no_grad():
        weight.copy_(stored)


def _require_effect(prompt: LearnedPrompt, model: Any, backbone: nn.Module, unfit: str) -> None:
    ids = torch.ones((1, 3), dtype=torch.long, device=next(backbone.parameters()).device)
    model.prompt_encoder.requires_grad_(True)
    with loader_errors(f"{unfit}: the base model cannot be run with it"):
        acts = prompt.acts_on(backbone, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    model.prompt_encoder.requires_grad_(False)
    if not acts:
        raise ModelError(f"{unfit}: {type(backbone).__name__} ignores its prompt (it takes no past keys and values)")
