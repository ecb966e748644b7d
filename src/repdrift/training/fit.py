"""The optimisation itself, by transformers' Trainer, without evaluation or logging services."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from repdrift.core.progress import Bar
from repdrift.core.records.run import CHECKPOINT_FOLDER
from repdrift.models import quiet_transformers
from repdrift.training.features import Feature, PaddingCollator
from repdrift.training.options import TrainingOptions


@dataclass(frozen=True)
class FitResult:
    """The number of optimiser steps taken, and the mean training loss."""

    steps: int
    train_loss: float


class CheckpointSchedule:
    """Saves the weights, without the optimiser, to `checkpoints/step_NNNNNN/` after each `every` optimiser steps."""

    def __init__(self, folder: Path, every: int | None, save_to: Callable[[Path], None]) -> None:
        self._folder = folder / CHECKPOINT_FOLDER
        self._every = every
        self._save_to = save_to
        self.saved: list[int] = []

    def after_step(self, step: int) -> None:
        """Save the model if a checkpoint is due after `step`."""
        if self._every and step % self._every == 0:
            self._save_to(self._folder / f"step_{step:06d}")
            self.saved.append(step)


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
    """Train `model` in place on `features`. `seed` alone decides the order of the batches; `label` names the progress."""
    per_epoch = math.ceil(math.ceil(len(features) / options.batch_size) / options.gradient_accumulation_steps)
    total = math.ceil(per_epoch * options.epochs)
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
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=has_accelerator,
        use_cpu=not has_accelerator,
        remove_unused_columns=False,
    )
    with Bar(label, total) as bar, quiet_transformers():
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=_Features(features),
            data_collator=collator,
            callbacks=[_AfterStep(bar, checkpoints)],
        )
        _drop_printing_callbacks(trainer)
        outcome = trainer.train()
    return FitResult(steps=int(outcome.global_step), train_loss=float(outcome.training_loss))


class _Features(Dataset[Feature]):
    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> Feature:
        return self._features[index]


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
