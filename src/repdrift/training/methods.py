"""Methods of tuning: which parameters of a model train. `METHODS` in `core/records/run.py` lists the methods."""

from __future__ import annotations

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.records.run import Method
from repdrift.models import quiet_transformers
from repdrift.training.options import LoraOptions, TrainingOptions

_PEFT_TASK = {"classification": "SEQ_CLS", "extractive_qa": "QUESTION_ANS"}


def apply_method(model: nn.Module, method: Method, task_kind: str, options: TrainingOptions) -> nn.Module:
    """Prepare `model` for a method of tuning.

    With `full_finetune` every parameter trains, with `lora` only the adapters and the task's head.
    Raises ModelError if the model lacks the modules that LoRA is to adapt, or one of them is smaller than the rank.
    """
    return model if method == "full_finetune" else _with_lora(model, task_kind, options.lora)


def _with_lora(model: nn.Module, task_kind: str, lora: LoraOptions) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type=_PEFT_TASK[task_kind],
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType] (any number scales as well as a whole one)
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) if lora.target_modules else None,
    )
    try:
        with quiet_transformers():
            tuned = get_peft_model(model, config)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        linear = sorted(
            {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, nn.Linear)}
        )
        raise ModelError(
            f"LoRA finds no module to adapt in {type(model).__name__} ({error}). "
            f"Set lora.target_modules to some of: {', '.join(linear)}."
        ) from error
    _require_rank_fits(tuned, lora.rank)
    return tuned


def _require_rank_fits(tuned: nn.Module, rank: int) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in tuned.named_modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        weight = getattr(module.get_base_layer(), "weight", None)
        shape = tuple(weight.shape) if isinstance(weight, Tensor) else ()
        if len(shape) == 2 and rank > min(shape):
            raise ModelError(
                f"lora.rank {rank} is larger than the smaller side of {name.rsplit('base_model.model.', 1)[-1]} ({shape[0]} x {shape[1]}): "
                f"a change of that weight has rank {min(shape)} at most. Set lora.rank to {min(shape)} or less."
            )
