"""Full fine-tuning and LoRA: which parameters of a model move."""

from __future__ import annotations

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.run import Method
from repdrift.models import quiet_transformers
from repdrift.training.options import TrainingOptions

_PEFT_TASK = {"classification": "SEQ_CLS", "extractive_qa": "QUESTION_ANS"}


def apply_method(model: nn.Module, method: Method, task_kind: str, options: TrainingOptions) -> nn.Module:
    """Prepare `model` for `method`: every parameter trains (`full_finetune`), or only adapters and the head (`lora`).

    Raises ModelError if the adapters' target modules are not in the model.
    """
    if method == "full_finetune":
        return model
    from peft import LoraConfig, get_peft_model

    lora = options.lora
    config = LoraConfig(
        task_type=_PEFT_TASK[task_kind],
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType] (any number scales as well as a whole one)
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) if lora.target_modules else None,
    )
    try:
        with quiet_transformers():
            return get_peft_model(model, config)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        endings = sorted(
            {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, nn.Linear)}
        )
        raise ModelError(
            f"LoRA finds no module to adapt in {type(model).__name__} ({error}). "
            f"Set lora.target_modules to some of: {', '.join(endings)}."
        ) from error
