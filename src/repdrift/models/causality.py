"""Causal decoders, told from other models by their configuration."""

from __future__ import annotations

from typing import Any

from repdrift.core.errors import ModelError
from repdrift.models.backbone import Stack
from repdrift.models.dimensions import text_config


def is_causal_decoder(config: Any, stack: Stack | None = None) -> bool:
    """Returns whether each token of the model sees only the tokens before it.

    config: the model's. stack: the half of an encoder-decoder model that is read; None means its encoder. Models of a kind
    that transformers does not know as a language model count as not causal.
    """
    from transformers.models.auto import modeling_auto as auto

    if getattr(config, "is_encoder_decoder", False):
        return stack == "decoder"
    if stack == "encoder":
        return False
    inner = text_config(config)
    if getattr(inner, "is_decoder", False):
        return True
    kinds = {getattr(config, "model_type", None), getattr(inner, "model_type", None)}
    both_ways = (
        any("Encoder" in str(auto.MODEL_MAPPING_NAMES.get(kind, "")) for kind in kinds),
        getattr(inner, "use_bidirectional_attention", None) in (True, "all"),  # embedding models of Gemma
        getattr(inner, "is_causal", None) is False,
        getattr(inner, "attn_type", None) == "bi",  # XLNet
    )
    encoders = (*auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    if any(both_ways) or kinds.intersection(encoders):
        return False
    return bool(kinds.intersection(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))


def require_language_model(config: Any, name: str) -> None:
    """Raises ModelError unless a model of this configuration reads from left to right and has a head for the next token.

    A model that reads both ways sees the token that it should predict, and its loss says nothing. name: the model, for the message.
    """
    from transformers import AutoModelForCausalLM

    if is_causal_decoder(config) and type(config) in AutoModelForCausalLM._model_mapping:
        return
    kind = getattr(config, "model_type", type(config).__name__)
    raise ModelError(
        f"{name} (a model of type {kind!r}) cannot be trained for causal_lm: it should read a text from left to right and predict the next "
        "token, as GPT-2, Llama or SmolLM2 do. Take such a base model, or tasks of another kind."
    )
