"""The part of a model that is run for its hidden states: without wrappers, task head, and the stack not asked for."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from torch import Tensor, nn

from repdrift.core.errors import ModelError, ShapeError
from repdrift.core.records.representation_set import Stack


def backbone_of(model: nn.Module, stack: Stack | None = None) -> nn.Module:
    """The module to run for the hidden states of `model`; adapter layers inside it stay active.

    Wrappers (PEFT, torch.compile, data parallel) and the task head are taken off. Of an encoder-decoder model, None and
    `encoder` give the encoder alone, so that the decoder is not run; `decoder` gives the module that runs both, to be
    called with `decoder_inputs` as well.
    Raises ModelError if the model lacks the stack, or if its adapter is a learned prompt, which acts outside of the backbone.
    """
    body = headless(model)
    pair = encoder_decoder_of(body)
    if pair is None:
        require_only_stack_is(stack, body)
        return body
    owner, _ = pair
    return owner if stack == "decoder" else unwrapped(owner.get_submodule("encoder"))


def headless(model: nn.Module) -> nn.Module:
    """`model` without wrappers and task head; an encoder-decoder model keeps both stacks."""
    inner = unwrapped(model)
    prefix = getattr(inner, "base_model_prefix", "")
    body = getattr(inner, prefix, None) if prefix else None
    return unwrapped(body) if isinstance(body, nn.Module) else inner


def uncompiled(model: nn.Module) -> nn.Module:
    """`model` without the wrapper of torch.compile."""
    while isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
        model = inner
    return model


def unwrapped(model: nn.Module) -> nn.Module:
    """`model` without the wrappers of PEFT, torch.compile, DataParallel and DistributedDataParallel.

    Raises ModelError for a learned prompt: taking the wrapper off would take the adapter off.
    """
    while True:
        model = uncompiled(model)
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif hasattr(model, "get_base_model"):
            wrapper: Any = model
            config = getattr(wrapper, "active_peft_config", None)
            if getattr(config, "is_prompt_learning", False):
                raise ModelError(
                    f"the adapter is a learned prompt ({getattr(config, 'peft_type', '?')}): its tokens are no input tokens, and "
                    "its blocks are those of the base model. Its representations cannot be paired with the base model's."
                )
            model = wrapper.get_base_model()
        else:
            return model


def encoder_decoder_of(model: nn.Module) -> tuple[nn.Module, str] | None:
    """The outermost module in `model` that holds an `encoder` and a `decoder` with lists of blocks, and its name.

    Below `model` itself only if the configuration does not deny it: a speech model may hold an audio codec, which is such a pair.
    """
    config = getattr(model, "config", None)
    within = model.named_modules() if getattr(config, "is_encoder_decoder", True) else [("", model)]
    for name, module in within:
        children = dict(module.named_children())
        if all(stack in children and _has_lists(children[stack]) for stack in ("encoder", "decoder")):
            return module, name
    return None


def decoder_inputs(model: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
    """What the decoder of an encoder-decoder model is shown: the sample itself, shifted right by the model's own rule.

    input_ids, attention_mask: (b, t), padded on the right. Returns `decoder_input_ids` and `decoder_attention_mask`, (b, t),
    to be given beside them. A sample of n tokens has n decoder positions: at position j stands the token before input
    token j (at 0 the model's start token; in mBART the language code, its last), so the decoder state at j is the one
    that predicts input token j, having seen the whole sample through the encoder. The mask is the input's.
    Raises ShapeError for padding on the left; ModelError if the model states no rule, or lacks a start or padding token.
    """
    mask = attention_mask.bool()
    if input_ids.dim() != 2 or mask.shape != input_ids.shape or bool((~mask[:, :-1] & mask[:, 1:]).any()):
        raise ShapeError(
            "decoder inputs need input_ids and attention_mask of shape (b, t), padded on the right; got "
            f"{tuple(input_ids.shape)} and {tuple(mask.shape)}"
            + (", padded on the left" * (mask.shape == input_ids.shape))
        )
    body = headless(model)
    pair = encoder_decoder_of(body)
    if pair is None:
        raise ModelError(f"{type(body).__name__} has no decoder beside an encoder, so it takes no decoder inputs")
    config: Any = pair[0].config
    padding = config.pad_token_id
    if padding is None:
        raise ModelError(
            f"{type(body).__name__}: the configuration names no pad_token_id, which its decoder inputs need"
        )
    ids = input_ids.masked_fill(~mask, padding)  # some rules find the last token by looking for padding
    try:
        shifted = _shifted(pair[0], ids, config)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{type(body).__name__} cannot shift its decoder inputs: {error}") from error
    return {"decoder_input_ids": shifted, "decoder_attention_mask": attention_mask}


def _shifted(model: Any, ids: Tensor, config: Any) -> Tensor:
    for method in ("_shift_right", "prepare_decoder_input_ids_from_labels"):  # T5 and its relatives; most others
        if hasattr(model, method):
            return getattr(model, method)(ids)
    rule: Any = getattr(sys.modules[type(model).__module__], "shift_tokens_right", None)  # BART and its relatives
    if rule is None:
        raise ModelError(f"{type(model).__name__} states no rule that shifts its decoder inputs right")
    if len(inspect.signature(rule).parameters) == 2:  # mBART, FSMT: no start token
        return rule(ids, config.pad_token_id)
    return rule(ids, config.pad_token_id, config.decoder_start_token_id)


def require_only_stack_is(stack: Stack | None, model: nn.Module) -> None:
    """Raises ModelError if `model`, which has one stack of blocks, lacks the one asked for."""
    if stack is None:
        return
    kind = _only_stack_of(model)
    if kind != stack:
        has = {"encoder": "only an encoder", "decoder": "only a decoder", None: "one stack, and nothing says which"}[
            kind
        ]
        raise ModelError(f"{type(model).__name__} has no {stack}: it has {has}. Leave `stack` out.")


def _only_stack_of(model: nn.Module) -> Stack | None:
    from transformers.models.auto import modeling_auto as auto

    config: Any = getattr(model, "config", None)
    model_type, kind = getattr(config, "model_type", None), type(model).__name__
    if "Decoder" in kind or getattr(config, "is_decoder", False):
        return "decoder"
    halved = auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES  # the encoder of a pair, by itself
    if "Encoder" in kind or model_type in halved or model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "encoder"
    return "decoder" if model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else None


def _has_lists(module: nn.Module) -> bool:
    return any(isinstance(part, nn.ModuleList) for part in module.modules())
