"""The part of a model that is run for its hidden states: no wrappers, no task head, and only the stack that is needed."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError, ShapeError
from repdrift.core.records.representation_set import Stack


def backbone_of(model: nn.Module, stack: Stack | None = None, *, runs_prompt: bool = False) -> nn.Module:
    """Returns the module to run for the hidden states of `model`; adapter layers inside it stay active.

    Wrappers (PEFT, torch.compile, data parallel) and the task head are taken off. For an encoder-decoder model, a `stack`
    of None or `encoder` gives the encoder alone, so that the decoder is not run; `decoder` gives the module that runs
    both, which must also be given `decoder_inputs`.
    runs_prompt: the caller runs a learned prompt of the model (see `learned_prompt_of`), which acts outside the backbone.
    Raises ModelError if the model lacks the stack, or has a learned prompt that the caller does not run.
    """
    if not runs_prompt and (wrapper := wrapper_of_prompt(model)) is not None:
        raise ModelError(
            f"the adapter is a learned prompt ({wrapper.active_peft_config.peft_type}): it adds virtual tokens to the input and "
            "leaves the model's modules as they are, so it would be lost here. Give an adapter that changes modules (LoRA and its "
            "relatives), or a full model."
        )
    body = headless(model)
    pair = encoder_decoder_of(body)
    if pair is None:
        require_only_stack_is(stack, body)
        return body
    return pair.module if stack == "decoder" else unwrapped(pair.module.get_submodule("encoder"))


def headless(model: nn.Module) -> nn.Module:
    """Returns `model` without wrappers and task head; an encoder-decoder model keeps both stacks."""
    inner = unwrapped(model)
    prefix = getattr(inner, "base_model_prefix", "")
    body = getattr(inner, prefix, None) if prefix else None
    return unwrapped(body) if isinstance(body, nn.Module) else inner


def execution_device(model: nn.Module) -> torch.device:
    """Returns the device on which inputs are given to `model`; of offloaded weights (accelerate), where they are loaded to.

    Raises ModelError if no weight is in memory and nothing loads any.
    """
    for module in model.modules():
        hook: Any = getattr(module, "_hf_hook", None)
        for part in getattr(hook, "hooks", [hook]):
            device = getattr(part, "execution_device", None)
            if device is not None and str(device) != "meta":
                return torch.device(device)
    device = next((p.device for p in model.parameters() if p.device.type != "meta"), None)
    if device is None:
        raise ModelError(
            f"{type(model).__name__} has no weights in memory (all are on the meta device), and nothing loads them. Load the "
            "model with from_pretrained."
        )
    return device


def uncompiled(model: nn.Module) -> nn.Module:
    """Returns `model` without the wrapper of torch.compile."""
    while isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
        model = inner
    return model


def unwrapped(model: nn.Module) -> nn.Module:
    """Returns `model` without the wrappers of PEFT, torch.compile, DataParallel and DistributedDataParallel.

    A learned prompt stays behind in its wrapper: to run the model with it, see `learned_prompt_of`.
    """
    while (inner := _inside(model)) is not None:
        model = inner
    return model


def wrapper_of_prompt(model: nn.Module) -> Any:
    """The wrapper of peft in which `model` has a learned prompt, or None if it has none or the prompt is switched off."""
    part: nn.Module | None = model
    while part is not None:
        config = getattr(part, "active_peft_config", None) if hasattr(part, "get_base_model") else None
        if getattr(config, "is_prompt_learning", False):
            return None if getattr(part, "_adapters_disabled", False) else part
        part = _inside(part)
    return None


def _inside(model: nn.Module) -> nn.Module | None:
    """Returns what the outermost wrapper holds, or None if there is no wrapper."""
    if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
        return inner
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return model.module
    if hasattr(model, "get_base_model"):
        return model.get_base_model()  # pyright: ignore[reportCallIssue]
    return None


@dataclass(frozen=True)
class EncoderDecoder:
    """A module that holds an `encoder` and a `decoder`, and its name inside the model ("" for the model itself)."""

    module: nn.Module
    name: str


def encoder_decoder_of(model: nn.Module) -> EncoderDecoder | None:
    """Returns the outermost module in `model` whose encoder and decoder have lists of blocks, or None if there is none.

    Parts of `model` are searched unless the configuration says that it is no encoder-decoder: a speech model may hold an
    audio codec, which has an encoder and a decoder too.
    """
    config = getattr(model, "config", None)
    within = model.named_modules() if getattr(config, "is_encoder_decoder", True) else [("", model)]
    for name, module in within:
        children = dict(module.named_children())
        if all(stack in children and _has_lists(children[stack]) for stack in ("encoder", "decoder")):
            return EncoderDecoder(module, name)
    return None


def decoder_inputs(model: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
    """The inputs of the decoder in an encoder-decoder model: the sample itself, shifted right by the model's own rule.

    input_ids, attention_mask: (b, t) for b samples of at most t tokens, padded on the right. Returns `decoder_input_ids`
    and `decoder_attention_mask`, (b, t) each, to be given to the model beside them; the mask is that of the input.
    A sample of n tokens has n decoder positions. Position j holds the token before input token j; position 0 holds the
    model's start token (in mBART the language code, which is the last token). So the decoder's state at position j
    predicts input token j, and has seen the whole sample through the encoder.
    Raises ShapeError if the samples are padded on the left; ModelError if the model states no rule, or lacks a start or
    padding token.
    """
    mask = attention_mask.bool()
    if input_ids.dim() != 2 or mask.shape != input_ids.shape or bool((~mask[:, :-1] & mask[:, 1:]).any()):
        raise ShapeError(
            "decoder inputs need input_ids and attention_mask of shape (b, t), padded on the right; got "
            f"{tuple(input_ids.shape)} and {tuple(mask.shape)}"
            + (", padded on the left or with gaps" * (mask.shape == input_ids.shape))
        )
    body = headless(model)
    pair = encoder_decoder_of(body)
    if pair is None:
        raise ModelError(f"{type(body).__name__} has no decoder beside an encoder, so it takes no decoder inputs")
    config: Any = pair.module.config
    padding = config.pad_token_id
    if padding is None:
        raise ModelError(
            f"{type(body).__name__}: the configuration names no pad_token_id, which its decoder inputs need. Set one in config.json."
        )
    ids = input_ids.masked_fill(~mask, padding)  # some rules find the last token by looking for padding
    try:
        shifted = _shifted(pair.module, ids, config)
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{type(body).__name__} cannot shift its decoder inputs: {error}. Use its encoder (--stack encoder)."
        ) from error
    return {"decoder_input_ids": shifted, "decoder_attention_mask": attention_mask}


def _shifted(model: Any, ids: Tensor, config: Any) -> Tensor:
    for method in ("_shift_right", "prepare_decoder_input_ids_from_labels"):  # T5 and its relatives; most others
        if hasattr(model, method):
            return getattr(model, method)(ids)
    rule: Any = getattr(sys.modules[type(model).__module__], "shift_tokens_right", None)  # BART and its relatives
    if rule is None:
        raise ModelError(
            f"{type(model).__name__} states no rule that shifts its decoder inputs right. Use its encoder (--stack encoder)."
        )
    if len(inspect.signature(rule).parameters) == 2:  # mBART, FSMT: no start token
        return rule(ids, config.pad_token_id)
    return rule(ids, config.pad_token_id, config.decoder_start_token_id)


def require_only_stack_is(stack: Stack | None, model: nn.Module) -> None:
    """Raises ModelError if `model`, which has one stack of blocks, has another one than `stack`."""
    if stack is None:
        return
    kind = _only_stack_of(model)
    if kind != stack:
        has = {"encoder": "only an encoder", "decoder": "only a decoder", None: "one stack, and nothing says which"}[
            kind
        ]
        raise ModelError(f"{type(model).__name__} has no {stack}: it has {has}. Leave `stack` (--stack) out.")


def _only_stack_of(model: nn.Module) -> Stack | None:
    from transformers.models.auto import modeling_auto as auto

    config: Any = getattr(model, "config", None)
    model_type, kind = getattr(config, "model_type", None), type(model).__name__
    if "Decoder" in kind or getattr(config, "is_decoder", False):
        return "decoder"
    encoder_decoders = auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES  # here the encoder of one, by itself
    if "Encoder" in kind or model_type in encoder_decoders or model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "encoder"
    return "decoder" if model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else None


def _has_lists(module: nn.Module) -> bool:
    return any(isinstance(part, nn.ModuleList) for part in module.modules())
