"""Language models read from files: with the head that predicts tokens, or the reason why there is none."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from repdrift.core.errors import OutcomeNotApplicable
from repdrift.models.adapter_files import PEFT_PREFIX, adapter_config, adapter_tensors
from repdrift.models.adapters import put_adapter
from repdrift.models.causality import is_causal_decoder
from repdrift.models.configuration import load_config
from repdrift.models.learned_prompt import LearnedPrompt
from repdrift.models.loading import MissingWeightsError, load_tuned_backbone, load_whole
from repdrift.models.model_files import ModelSource
from repdrift.models.output_head import HeadKind, OutputHead, SplitModel, split_language_model
from repdrift.models.prompt_adapter import is_learned_prompt
from repdrift.models.third_party import quiet_transformers
from repdrift.models.tuned_body import load_tuned_body

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LANGUAGE = "CAUSAL_LM"
_TRAINED_WITH = "The head that it was trained with is read."
BASE_READS = "What it predicts is what the base model's language-modelling head reads from its hidden states"


@dataclass(frozen=True)
class TunedReader:
    """A tuned model as its predictions are read.

    body: gives the last hidden state. head: its own; None where the base model's reads it. prompt: the learned prompt that it is run
    with. notes: whole sentences on whose head is used and on how the model was loaded.
    """

    body: nn.Module
    head: OutputHead | None
    prompt: LearnedPrompt | None
    notes: list[str]


def head_kind(source: ModelSource) -> HeadKind:
    """The kind of language-modelling head that models of this configuration have. Raises OutcomeNotApplicable if they have none."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    config = load_config(source)
    kind = getattr(config, "model_type", type(config).__name__)
    if getattr(config, "is_encoder_decoder", False):
        raise OutcomeNotApplicable(
            f"{source.ref!r} is an encoder-decoder model ({kind}), whose outputs depend on a second text; only causal and masked language "
            "models are read"
        )
    if is_causal_decoder(config) and type(config) in AutoModelForCausalLM._model_mapping:
        return "causal"
    if not is_causal_decoder(config) and type(config) in AutoModelForMaskedLM._model_mapping:
        return "masked"
    raise OutcomeNotApplicable(f"{source.ref!r} is of type {kind!r}, which has no head for the next or a masked token")


def load_language_model(source: ModelSource, *, dtype: str = "float32") -> SplitModel:
    """Load a full model with its language-modelling head, taken apart, on the CPU. Raises what `load_whole_language_model` raises."""
    return split_language_model(load_whole_language_model(source, dtype=dtype), head_kind(source))


def load_whole_language_model(source: ModelSource, *, dtype: str = "float32") -> PreTrainedModel:
    """Load a full model with its language-modelling head, causal or masked, on the CPU.

    Raises OutcomeNotApplicable if it has no such head, or its files lack weights of it: transformers would draw them at random;
    ModelError if the files cannot be read or lack a weight of the backbone.
    """
    kind = head_kind(source)
    try:
        return load_whole(source, _auto_class(kind), dtype=dtype)
    except MissingWeightsError as error:
        if not error.only_head:
            raise
        raise OutcomeNotApplicable(
            f"{source.ref!r} has no language-modelling head in its files: {error.lacking}, which would be drawn at random. Take a base model "
            "that was saved with its head."
        ) from error


def load_tuned_reader(
    base: ModelSource, tuned: ModelSource, *, trained_as: str | None = None, dtype: str = "float32"
) -> TunedReader:
    """Load a tuned model on the CPU, with its own language-modelling head where tuning trained one.

    That is a full model which was saved as a language model, and an adapter that was trained on one; every other is read by the base
    model's head, and a note says so. trained_as: the kind of task, where it is known: `causal_lm` has its own head.
    Raises ModelError if it cannot be loaded; OutcomeNotApplicable if it was saved as a language model of another kind.
    """
    if tuned.is_adapter:
        return _adapter_reader(base, tuned, trained_as, dtype)
    if trained_as != "causal_lm" and (note := base_head_note(base, tuned)) is not None:
        return TunedReader(load_tuned_backbone(tuned, dtype=dtype), None, None, [note])
    kind = head_kind(tuned)
    if kind != head_kind(base):
        raise OutcomeNotApplicable(f"{tuned.ref!r} has a {kind} head, and the base model a {head_kind(base)} one")
    try:
        split = split_language_model(load_whole(tuned, _auto_class(kind), dtype=dtype), kind)
    except MissingWeightsError as error:
        if trained_as == "causal_lm" or not error.only_head:
            raise
        note = f"{BASE_READS}: its files hold no complete head of its own."
        return TunedReader(load_tuned_backbone(tuned, dtype=dtype), None, None, [note])
    return TunedReader(split.body, split.head, None, ["Its own language-modelling head is read."])


@dataclass(frozen=True)
class TunedHead:
    """The head that reads a tuned model whose body is run elsewhere. head: its own; None: the base model's. notes: those of `TunedReader`."""

    head: OutputHead | None
    notes: list[str]


def load_tuned_head(
    base: ModelSource, tuned: ModelSource, *, trained_as: str | None = None, dtype: str = "float32"
) -> TunedHead:
    """Load the head of a tuned model, as `load_tuned_reader` does. No model is loaded for an adapter that left the base model's head as it was.

    Raises what `load_tuned_reader` raises.
    """
    if tuned.is_adapter and base_head_note(base, tuned) == _TRAINED_WITH:
        return TunedHead(None, [_TRAINED_WITH])
    reader = load_tuned_reader(base, tuned, trained_as=trained_as, dtype=dtype)
    return TunedHead(reader.head, reader.notes)


def _adapter_reader(base: ModelSource, adapter: ModelSource, trained_as: str | None, dtype: str) -> TunedReader:
    if is_learned_prompt(adapter):
        prompted = load_tuned_body(base, adapter, dtype=dtype)
        return TunedReader(prompted.body, None, prompted.prompt, [base_head_note(base, adapter) or "", *prompted.notes])
    task_type = str(getattr(adapter_config(adapter), "task_type", None) or "")
    if trained_as == "causal_lm" or task_type == _LANGUAGE or _holds_head(base, adapter, tied=False):
        kind = head_kind(base)
        whole = load_whole(base, _auto_class(kind), dtype=dtype)
        split = split_language_model(put_adapter(whole, base, adapter), kind)
        return TunedReader(split.body, split.head, None, [_TRAINED_WITH])
    adapted = load_tuned_body(base, adapter, dtype=dtype)
    return TunedReader(adapted.body, None, None, [_why_base_reads(task_type), *adapted.notes])


def base_head_note(base: ModelSource, tuned: ModelSource) -> str | None:
    """Says in a sentence why the base model's head reads a tuned model's hidden states; None if that should have a head of its own.

    Only configurations and an adapter's files are read. Raises ModelError if they cannot be.
    """
    if not tuned.is_adapter:
        named = [str(name) for name in getattr(load_config(tuned), "architectures", None) or []]
        if _names_language_model(named):
            return None
        why = f"it was saved as {named[0]}, which has none" if named else "its configuration names no class with one"
        return f"{BASE_READS}: {why}."
    adapter = tuned
    if is_learned_prompt(adapter):
        return f"{BASE_READS}: it is a learned prompt, which trains no head."
    task_type = str(getattr(adapter_config(adapter), "task_type", None) or "")
    if _holds_head(base, adapter, tied=task_type == _LANGUAGE):
        return None
    return _TRAINED_WITH if task_type == _LANGUAGE else _why_base_reads(task_type)


def _why_base_reads(task_type: str) -> str:
    why = f"it is an adapter for {task_type}" if task_type else "its files name no head of their own"
    return f"{BASE_READS}: {why}."


def _holds_head(base: ModelSource, adapter: ModelSource, *, tied: bool) -> bool:
    """True if the adapter's files hold tensors of the base model's head. tied: or of the embeddings, where the head shares them."""
    config = copy.deepcopy(load_config(base))
    with quiet_transformers(), torch.device("meta"):
        whole: Any = _auto_class(head_kind(base)).from_config(config, trust_remote_code=False)
    heads = {name for name, _ in whole.named_children() if name != whole.base_model_prefix}
    stored = [name.removeprefix(PEFT_PREFIX).split(".") for name in adapter_tensors(adapter)]
    if tied and getattr(config, "tie_word_embeddings", False):
        embedding = whole.get_input_embeddings()
        shared = {name.rpartition(".")[2] for name, part in whole.named_modules() if part is embedding}
        if any(shared.intersection(parts) for parts in stored):
            return True
    return any(parts[0] in heads for parts in stored)


def _auto_class(kind: HeadKind) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    return AutoModelForCausalLM if kind == "causal" else AutoModelForMaskedLM


def _names_language_model(architectures: list[str]) -> bool:
    """True if a class of these names has a head that predicts tokens."""
    from transformers.models.auto import modeling_auto as auto

    known: set[str] = set()
    for names in (
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    ):
        known |= {name for value in names.values() for name in ([value] if isinstance(value, str) else value)}
    return any(name in known for name in architectures)
