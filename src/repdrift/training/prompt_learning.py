"""Learned prompts on a model that is to be trained: put on by peft, with the head reading the real tokens.

peft's own forward gives the head virtual and real positions together. A decoder's head for classes then looks for the last token
without the token ids that would tell it from padding, and a head for answers counts from the wrong position. So here the
backbone alone reads the prompt. Only an encoder with a head for classes and virtual embeddings runs peft's own forward: there the head
reads the first position, a virtual one, and other software that loads the saved adapter does so too.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import torch
from pydantic import Field
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models import LearnedPrompt, depth_of, headless, is_causal_decoder, learned_prompt_of
from repdrift.training.adapter_tuning import with_adapter
from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind

LOST_PREFIX = (
    "prefix tuning does not go with gradient checkpointing: the blocks are run again without the past keys and values, so the "
    "prefix would be lost. Leave gradient checkpointing out for this arm, or take kind prompt_tuning."
)
_OTHERS = "Kinds that fit every model are lora, layers and layer_norm."


class PromptOptions(KindOptions):
    """Options of every kind of learned prompt."""

    virtual_tokens: int = Field(
        default=20, ge=1, le=65_536, description="The number of learned positions before the text."
    )


Options = TypeVar("Options", bound=PromptOptions)


class PromptKind(TuningKind[Options]):
    """A kind of tuning that trains virtual tokens before the text, and the task's new head."""

    def virtual_tokens(self, options: Options) -> int:
        """Returns the positions that the prompt takes."""
        return options.virtual_tokens

    def runs_by_block(self, options: Options) -> bool:
        """Returns False: a prompt lies around the whole model."""
        del options
        return False


def with_prompt(model: nn.Module, config: Any, task_kind: str, *, what: str) -> TunedModel:
    """Returns `model` with a new learned prompt of peft's configuration, which trains with the task's new head.

    what: the kind of tuning, for messages. Raises ModelError if the model has no place for a prompt, or ignores it.
    """
    name = type(model).__name__
    if config.peft_type != "PREFIX_TUNING":
        # peft looks for these under some names only, and takes the width of the blocks for that of the embedding.
        config.token_dim = model.get_input_embeddings().weight.shape[1]  # pyright: ignore
        config.num_layers, config.num_attention_heads = depth_of(model.config) or 1, 1
    tuned = with_adapter(model, config, task_kind, what=what, next_step=_OTHERS)
    prompt = learned_prompt_of(tuned)
    assert prompt is not None  # noqa: S101  it was put on just now
    if not _acts(prompt, headless(tuned)):
        raise ModelError(
            f"{what} does not fit {name}: its hidden states do not depend on the prompt (it takes no past keys and values, or "
            f"ignores them). {_OTHERS}"
        )
    return TunedModel.of(read_behind_prompt(tuned, task_kind))


def read_behind_prompt(model: nn.Module, task_kind: str) -> nn.Module:
    """Returns a model of peft that runs as it is trained: the head reads the real tokens behind a learned prompt. Others are returned as they are."""
    prompt = learned_prompt_of(model)
    if prompt is not None and (prompt.is_prefix or is_causal_decoder(model.config) or task_kind != "classification"):
        model.__class__ = type(model.__class__.__name__, (_PromptInBackbone, model.__class__), {})
    return model


class _PromptInBackbone(nn.Module):
    """Mixed into a class of peft: the model is run with the prompt inside its backbone, behind which the head sees real tokens."""

    def forward(self, **inputs: Any) -> Any:
        """Run the model. Raises ModelError if gradient checkpointing would drop a prefix on the way."""
        prompt = learned_prompt_of(self)
        model: Any = self.base_model
        if prompt is None:
            return model(**inputs)
        if (
            prompt.is_prefix
            and self.training
            and any(getattr(m, "gradient_checkpointing", False) for m in model.modules())
        ):
            raise ModelError(LOST_PREFIX)
        with prompt.inside(headless(self)):
            return model(**inputs)

    def generate(self, *arguments: Any, **settings: Any) -> Any:
        """Continue texts, as peft does, without its word that positions are counted anew behind the prompt."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Position ids are not supported")
            return super().generate(*arguments, **settings)  # pyright: ignore


def _acts(prompt: LearnedPrompt, body: nn.Module) -> bool:
    device = next(body.parameters()).device
    ids = torch.ones((1, 3), dtype=torch.long, device=device)
    try:
        return prompt.acts_on(body, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    except (NotImplementedError, RuntimeError) as error:
        if device.type == "meta":
            return True  # without weights not every model can be run; it is asked again when it has them
        raise ModelError(f"a learned prompt cannot be run on {type(body).__name__}: {error}. {_OTHERS}") from error
