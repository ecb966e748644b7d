"""The optimisation itself, by transformers' Trainer, without evaluation or logging services."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from repdrift.core.errors import NonFiniteError
from repdrift.core.progress import Bar
from repdrift.models import quiet_transformers
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import Feature, PaddingCollator
from repdrift.training.options import TrainingOptions


@dataclass(frozen=True)
class FitResult:
    """The number of optimiser steps taken, and the mean training loss."""

    steps: int
    train_loss: float


def fit(
    model: nn.Module,
    features: Sequence[Feature],
    collator: PaddingCollator,
    options: TrainingOptions,
    *,
    seed: int,
    work_dir: Path,
    checkpoints: CheckpointSchedule,
    label: str,
) -> FitResult:
    """Train `model` in place on `features`. `seed` alone decides the order of the batches; `label` names run and progress.

    Raises NonFiniteError at the first step whose loss is NaN or Inf, and if a weight is NaN or Inf after the last one.
    """
    total = options.steps(len(features))
    # On a machine that has only a CPU, pinning memory does nothing but warn.
    has_accelerator = torch.accelerator.is_available()
    arguments = TrainingArguments(
        output_dir=str(work_dir),
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=math.ceil(options.warmup_ratio * total),
        lr_scheduler_type=options.scheduler,
        bf16=options.precision == "bfloat16",
        seed=seed,
        data_seed=seed,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it puts the mean of earlier losses in place of NaN; _CheckedTrainer stops instead
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=has_accelerator,
        use_cpu=not has_accelerator,
        remove_unused_columns=False,
    )
    with Bar(label, total) as bar, quiet_transformers():
        trainer = _CheckedTrainer(
            label=label,
            total=total,
            model=model,
            args=arguments,
            train_dataset=_Features(features),
            data_collator=collator,
            callbacks=[_AfterStep(bar, checkpoints)],
        )
        _drop_printing_callbacks(trainer)
        outcome = trainer.train()
    _require_finite_weights(model, label, options)
    return FitResult(steps=int(outcome.global_step), train_loss=float(outcome.training_loss))


class _Features(Dataset[Feature]):
    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> Feature:
        return self._features[index]


class _CheckedTrainer(Trainer):
    """A Trainer that stops at the first step whose loss is no finite number."""

    def __init__(self, *, label: str, total: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._label = label
        self._total = total

    def training_step(self, *arguments: Any, **settings: Any) -> Tensor:
        """Returns the loss of one batch. Raises NonFiniteError if it is NaN or Inf."""
        loss = super().training_step(*arguments, **settings)
        if not bool(torch.isfinite(loss)):
            step, rate = self.state.global_step + 1, self.args.learning_rate
            if step == 1:
                raise NonFiniteError(
                    f"{self._label}: the loss is {float(loss)} in step 1 of {self._total}, before any weight was changed: the base model does "
                    "not give finite numbers for these inputs. Look at it with `repdrift compare BASE BASE --data FILE`, use precision: float32, "
                    "or take another base model."
                )
            raise NonFiniteError(
                f"{self._label}: the loss is {float(loss)} in step {step} of {self._total}: training diverged. {_lower(rate)}"
            )
        return loss


def _require_finite_weights(model: nn.Module, label: str, options: TrainingOptions) -> None:
    trained = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    wrong = next((name for name, p in trained if not bool(torch.isfinite(p).all())), None)
    if wrong is not None:
        raise NonFiniteError(
            f"{label}: weight {wrong} holds NaN or Inf after the last step: training diverged. {_lower(options.learning_rate)}"
        )


def _lower(rate: float) -> str:
    return (
        f"The learning rate is {rate:g}: set a lower one in the study file, such as `learning_rate: {rate / 10:g}` under `training:`, and "
        "run the same command again."
    )


class _AfterStep(TrainerCallback):
    def __init__(self, bar: Bar, checkpoints: CheckpointSchedule) -> None:
        self._bar = bar
        self._checkpoints = checkpoints

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        del args, control, rest
        self._bar.advance()
        self._checkpoints.after_step(state.global_step)


def _drop_printing_callbacks(trainer: Trainer) -> None:
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # prints to standard output, which is for results
