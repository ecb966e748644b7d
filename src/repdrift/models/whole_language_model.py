"""Causal language models read from files as a whole: what other people's evaluation code takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from repdrift.core.errors import OutcomeNotApplicable
from repdrift.models.adapter_files import adapter_config
from repdrift.models.adapters import put_adapter
from repdrift.models.backbone import headless
from repdrift.models.language_model import head_kind, load_tuned_reader
from repdrift.models.loading import MissingWeightsError, load_whole
from repdrift.models.model_files import ModelSource
from repdrift.models.prompt_adapter import is_learned_prompt


@dataclass(frozen=True)
class WholeLanguageModel:
    """A causal language model with its head, in evaluation mode, on the CPU. notes: whole sentences on whose head is used."""

    model: nn.Module
    notes: list[str] = field(default_factory=list)


def load_whole_base(base: ModelSource, *, dtype: str = "float32") -> WholeLanguageModel:
    """Load a full model with the head for the next token that is in its files.

    Raises OutcomeNotApplicable if it has none; ModelError if it cannot be loaded.
    """
    from transformers import AutoModelForCausalLM

    if head_kind(base) != "causal":
        raise OutcomeNotApplicable(
            f"{base.ref!r} predicts masked tokens, and only models that predict the next token are run"
        )
    try:
        return WholeLanguageModel(load_whole(base, AutoModelForCausalLM, dtype=dtype))
    except MissingWeightsError as error:
        if not error.only_head:
            raise
        raise OutcomeNotApplicable(f"{base.ref!r} has no language-modelling head in its files. {error}") from error


def load_whole_tuned(
    base: ModelSource, tuned: ModelSource, *, trained_as: str | None = None, dtype: str = "float32"
) -> WholeLanguageModel:
    """Load a tuned model with its own head for the next token; where tuning trained none, the base model's head reads its hidden states.

    trained_as: the kind of task, where it is known. Raises OutcomeNotApplicable for a learned prompt, whose virtual tokens other people's code does
    not count, and where `load_tuned_reader` does; ModelError.
    """
    if tuned.is_adapter and is_learned_prompt(tuned):
        raise OutcomeNotApplicable(
            f"{tuned.ref!r} is a learned prompt, whose virtual tokens before the text are not counted by the code that runs the tasks"
        )
    if tuned.is_adapter and _trained_its_head(tuned, trained_as):
        return WholeLanguageModel(put_adapter(load_whole_base(base, dtype=dtype).model, base, tuned).eval())
    reader = load_tuned_reader(base, tuned, trained_as=trained_as, dtype=dtype)
    if reader.head is not None:
        del reader  # it was taken apart
        if tuned.is_adapter:
            return WholeLanguageModel(put_adapter(load_whole_base(base, dtype=dtype).model, base, tuned).eval())
        return load_whole_base(tuned, dtype=dtype)
    whole: Any = load_whole_base(base, dtype=dtype).model
    assert headless(whole) is getattr(whole, whole.base_model_prefix)  # noqa: S101  else another part would be replaced
    setattr(whole, whole.base_model_prefix, reader.body)
    return WholeLanguageModel(whole.eval(), reader.notes[:1])


def _trained_its_head(adapter: ModelSource, trained_as: str | None) -> bool:
    return trained_as == "causal_lm" or str(getattr(adapter_config(adapter), "task_type", None) or "") == "CAUSAL_LM"
