"""Adapters of peft on a model that is to be trained: the one place where they are put on."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models import quiet_transformers

_PEFT_TASK = {"classification": "SEQ_CLS", "extractive_qa": "QUESTION_ANS", "causal_lm": "CAUSAL_LM"}


def with_adapter(model: nn.Module, config: Any, task_kind: str, *, what: str, next_step: str) -> Any:
    """Returns peft's model: `model` with a new adapter of this configuration, which trains with the task's new head.

    what: the kind of tuning, for messages. Raises ModelError, which ends with `next_step`, if the adapter does not fit, or a weight is
    smaller than its rank.
    """
    from peft import get_peft_model

    config.task_type = _PEFT_TASK[task_kind]
    try:
        with quiet_transformers():
            tuned = get_peft_model(model, config)  # pyright: ignore[reportArgumentType]
    except (ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{what} does not fit {type(model).__name__}: {error}. {next_step}") from error
    _require_rank_fits(tuned, getattr(config, "r", 0))
    return tuned


def _require_rank_fits(tuned: nn.Module, rank: int) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in tuned.named_modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        base: Any = module.get_base_layer()
        weight = getattr(base, "weight", None)
        shape = tuple(weight.shape) if isinstance(weight, Tensor) else ()
        if isinstance(base, nn.Linear):
            shape = (base.out_features, base.in_features)  # a weight that is kept in 4 bits has another shape
        if len(shape) == 2 and rank > min(shape):
            raise ModelError(
                f"rank {rank} is larger than the smaller side of {name.rsplit('base_model.model.', 1)[-1]} ({shape[0]} x {shape[1]}): "
                f"a change of that weight has rank {min(shape)} at most. Set the rank to {min(shape)} or less."
            )
