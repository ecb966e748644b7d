"""A Trainer that stops at a loss that is no finite number, and that saves and restores its state without pickles."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback

from repdrift.core.errors import NonFiniteError
from repdrift.core.memory import give_back_freed
from repdrift.training.length_groups import LengthGroups
from repdrift.training.needed_logits import gives_needed_logits, loss_of_needed
from repdrift.training.peak_memory import peak_memory_bytes
from repdrift.training.resuming import StateKeeper
from repdrift.training.training_state import load_optimizer, load_random_state, load_weights

_STEPS_OF_KEEPING = 20
"""Batches after which memory that the C library keeps goes back. Batches of other lengths free blocks of other sizes, between which more
and more is kept: gigabytes in some hundred batches on a processor. benchmarks/training has what this saves: an eighth of the peak, at no cost."""


class ResumableTrainer(Trainer):
    """transformers' Trainer, which stops at the first step whose loss is no finite number, and whose states are our own.

    Its own way of resuming decides which batches are left and when the random generators are set; what is read and
    written is ours. label: names the run. total: optimiser steps. states: see fit().
    checkpoints: the steps of those that were saved so far; others add to the list.
    order: of the inputs; None draws them at random.
    """

    def __init__(
        self,
        *,
        label: str,
        total: int,
        states: StateKeeper | None,
        checkpoints: list[int],
        order: LengthGroups | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._label = label
        self._total = total
        self._states = states
        self._checkpoints = checkpoints
        self._saved_step = 0
        self._batches = 0
        self._order = order
        self._only_needed_logits: bool | None = None  # not known before the first batch
        if states is not None and states.found is not None:
            self.add_callback(_RestoreSums(self, states.found.record.loss))

    def training_step(self, *arguments: Any, **settings: Any) -> Tensor:
        """Returns the loss of one batch. Raises NonFiniteError if it is NaN or Inf."""
        loss = super().training_step(*arguments, **settings)
        self._batches += 1
        if self._batches % _STEPS_OF_KEEPING == 0 and loss.device.type == "cpu":
            give_back_freed()
        if not bool(torch.isfinite(loss)):
            step, rate = self.state.global_step + 1, self.args.learning_rate
            if step == 1:
                raise NonFiniteError(
                    f"{self._label}: the loss is {float(loss)} in step 1 of {self._total}, before any weight was changed: the base model does "
                    "not give finite numbers for these inputs. Look at it with `repdrift compare BASE BASE --data FILE`, use precision: float32, "
                    "or take another base model."
                )
            raise NonFiniteError(
                f"{self._label}: the loss is {float(loss)} in step {step} of {self._total}: training diverged. {lower_rate(rate)}"
            )
        return loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Returns the loss of one batch; of a text to continue from the logits of its learnt tokens alone, where the model allows it."""
        if not return_outputs and self._leaves_out_logits(inputs):
            labels = inputs["labels"]
            rest = {name: value for name, value in inputs.items() if name != "labels"}
            loss = loss_of_needed(model, rest, labels, num_items_in_batch)
            if loss is not None:
                return loss
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _leaves_out_logits(self, inputs: dict[str, Any]) -> bool:
        if self._only_needed_logits is None:
            alone = (
                self.args.world_size == 1 and self.args.n_gpu <= 1
            )  # DataParallel would cut the list of positions in pieces
            self._only_needed_logits = (
                alone
                and not self.args.torch_compile
                and "labels" in inputs
                and gives_needed_logits(cast("nn.Module", self.model), inputs)
            )
        return self._only_needed_logits

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return super()._get_train_sampler(train_dataset) if self._order is None else self._order

    def _maybe_log_save_evaluate(self, *arguments: Any, **settings: Any) -> None:
        super()._maybe_log_save_evaluate(*arguments, **settings)
        step = int(self.state.global_step)
        if self._states is None or step in (self._saved_step, self._total) or not self._states.is_due(step):
            return
        self._saved_step = step
        self._states.save(self, self._sums(), self._checkpoints, peak_memory_bytes())

    def _sums(self) -> dict[str, float]:
        return {
            "since_last_line": float(self._tr_loss),
            "total": float(self._total_loss_scalar),
            "last_line": float(self._globalstep_last_logged),
        }

    def restore_sums(self, sums: dict[str, float]) -> None:
        """Put the sums of the losses back, so that the means are those of the whole training."""
        self._tr_loss = torch.tensor(sums["since_last_line"], device=self.args.device)
        self._total_loss_scalar = sums["total"]
        self._globalstep_last_logged = int(sums["last_line"])
        self._initial_global_step = 0

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        del resume_from_checkpoint, model
        found = self._found()
        load_weights(found.place, cast("nn.Module", self.model))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        found = self._found()
        load_optimizer(found.place, found.record, self.optimizer)
        cast("Any", self.lr_scheduler).load_state_dict({"lr_lambdas": [], **found.record.scheduler})

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            found = self._found()
            load_random_state(found.place, found.record)

    def _load_scaler(self, checkpoint: str | None) -> None:
        del checkpoint  # float32 and bfloat16 need no scaled losses

    def _found(self) -> Any:
        assert self._states is not None  # noqa: S101  only then there is something to resume from
        assert self._states.found is not None  # noqa: S101
        return self._states.found


class _RestoreSums(TrainerCallback):
    def __init__(self, trainer: ResumableTrainer, sums: dict[str, float]) -> None:
        self._trainer = trainer
        self._sums = sums

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        del args, state, control, rest
        self._trainer.restore_sums(self._sums)


def lower_rate(rate: float) -> str:
    """The next step after a divergence, in words."""
    return (
        f"The learning rate is {rate:g}: set a lower one in the study file, such as `learning_rate: {rate / 10:g}` under `training:`, and "
        "run the same command again."
    )
