"""Adapters of peft on a model that is to be trained: the one place where they are put on."""

from __future__ import annotations

from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models import quiet_transformers

_PEFT_TASK = {"classification": "SEQ_CLS", "extractive_qa": "QUESTION_ANS", "causal_lm": "CAUSAL_LM"}


def with_adapter(model: nn.Module, config: Any, task_kind: str, *, what: str, next_step: str) -> Any:
    """Returns peft's model: `model` with a new adapter of this configuration, which trains with the task's new head.

    what: the kind of tuning, for messages. Raises ModelError, which ends with `next_step`, if the adapter does not fit.
    """
    from peft import get_peft_model

    config.task_type = _PEFT_TASK[task_kind]
    try:
        with quiet_transformers():
            return get_peft_model(model, config)  # pyright: ignore[reportArgumentType]
    except (ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{what} does not fit {type(model).__name__}: {error}. {next_step}") from error
