"""The optimisation itself, by transformers' Trainer: resumed where a state of it is at hand, with its losses in a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from repdrift.core.errors import NonFiniteError
from repdrift.core.progress import Bar
from repdrift.models import quiet_transformers
from repdrift.training.bfloat16_products import products_in
from repdrift.training.checkpoints import CheckpointSchedule
from repdrift.training.features import Feature, PaddingCollator
from repdrift.training.history import History, log_interval
from repdrift.training.length_groups import LengthGroups
from repdrift.training.options import TrainingOptions
from repdrift.training.resumable_trainer import ResumableTrainer, lower_rate
from repdrift.training.resuming import StateKeeper
from repdrift.training.trainer_needs import reporting_errors

_OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_bnb_8bit", "adafactor": "adafactor"}
"""Names in transformers, by ours."""


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
    history: History | None = None,
    states: StateKeeper | None = None,
) -> FitResult:
    """Train `model` in place on `features`. `seed` alone decides the order of the batches; `label` names run and progress.

    work_dir: the run's folder. history: gets a line on the loss about 200 times. states: saves the training at intervals, and holds the state that it
    goes on from; None saves nothing.
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
        warmup_steps=options.rising_steps(total),
        lr_scheduler_type=options.scheduler,
        bf16=options.precision == "bfloat16",
        seed=seed,
        data_seed=seed,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="steps",
        logging_steps=log_interval(total),
        logging_nan_inf_filter=False,  # it puts the mean of earlier losses in place of NaN; _CheckedTrainer stops instead
        report_to=list(options.report_to),
        run_name=label,
        optim=_OPTIMIZERS[options.optimizer],
        **_checkpointing(options),
        torch_compile=options.compile,
        disable_tqdm=True,
        dataloader_pin_memory=has_accelerator,
        use_cpu=not has_accelerator,
        remove_unused_columns=False,
    )
    found = states.found if states else None
    if found is not None:
        if history is not None:
            history.cut_after(found.record.step)
        checkpoints.saved.extend(found.record.checkpoint_steps)
    with Bar(label, total) as bar, quiet_transformers():
        trainer = ResumableTrainer(
            label=label,
            total=total,
            states=states,
            checkpoints=checkpoints.saved,
            model=model,
            args=arguments,
            train_dataset=_Features(features),
            data_collator=collator,
            order=_order(features, options, seed),
            callbacks=[_AfterStep(bar, checkpoints), *([_Recorder(history)] if history is not None else [])],
        )
        _drop_printing_callbacks(trainer)
        if found is not None:
            bar.advance(found.record.step)
        with reporting_errors(options), products_in(options.precision, compiled=options.compile):
            outcome = trainer.train(resume_from_checkpoint=str(found.place) if found else None)
    _end_reports(options)
    _require_finite_weights(model, label, options)
    return FitResult(steps=int(outcome.global_step), train_loss=float(outcome.training_loss))


def _checkpointing(options: TrainingOptions) -> dict[str, Any]:
    if not options.gradient_checkpointing:
        return {}
    newer = "activation_checkpointing"  # its name in newer versions of transformers
    name = newer if newer in TrainingArguments.__dataclass_fields__ else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


def _order(features: Sequence[Feature], options: TrainingOptions, seed: int) -> LengthGroups | None:
    if not options.group_by_length:
        return None
    lengths = [len(feature["input_ids"]) for feature in features]
    return LengthGroups(lengths, options.batch_size * options.gradient_accumulation_steps, seed)


def _end_reports(options: TrainingOptions) -> None:
    if "wandb" in options.report_to:
        import wandb

        wandb.finish()  # else the next run's losses would go on in this run's chart


class _Features(Dataset[Feature]):
    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int) -> Feature:
        return self._features[index]


def _require_finite_weights(model: nn.Module, label: str, options: TrainingOptions) -> None:
    trained = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    wrong = next((name for name, p in trained if not bool(torch.isfinite(p).all())), None)
    if wrong is not None:
        raise NonFiniteError(
            f"{label}: weight {wrong} holds NaN or Inf after the last step: training diverged. {lower_rate(options.learning_rate)}"
        )


class _Recorder(TrainerCallback):
    def __init__(self, history: History) -> None:
        self._history = history

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **rest: Any) -> None:
        del args, control, rest
        if logs and "loss" in logs:  # the last one sums up times, which a resumed run cannot give
            names = ("epoch", "loss", "learning_rate", "grad_norm")
            self._history.append(state.global_step, {name: logs[name] for name in names if name in logs})


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
