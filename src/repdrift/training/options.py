"""Options of training. Every field changes the result, so every field is part of a run's key, except where said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from repdrift.core.errors import ConfigError
from repdrift.core.sample_count import SampleCount
from repdrift.training.save_interval import SaveInterval
from repdrift.training.tuning_kinds.lora import LoraOptions

Precision = Literal["float32", "bfloat16"]
_NATIVE_BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}
"""Flags of x86 and Arm processors that multiply bfloat16 natively."""

_NOT_IN_KEY = {"max_validation_samples", "save_state_every", "report_to", "gradient_checkpointing"}
"""Options that change no weight; that gradient checkpointing gives the same bits is tested."""
_NEWER_OPTIONS = ("optimizer", "group_by_length", "compile")
"""Options that older versions did not have, and that change nothing at their defaults."""


class TrainingOptions(BaseModel):
    """The complete options of one run's training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: float = Field(default=3.0, gt=0, le=10_000, description="Passes over the training rows.")
    learning_rate: float = Field(default=2e-5, gt=0, le=10, description="Learning rate after the warm-up.")
    batch_size: int = Field(default=4, ge=1, le=1_000_000, description="Features in one batch.")
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, le=1_000_000, description="Batches in one optimiser step."
    )
    weight_decay: float = Field(default=0.01, ge=0, le=10, description="Weight decay of AdamW.")
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1, description="Share of the steps in which the rate rises.")
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        default="linear", description="Course of the learning rate after the warm-up."
    )
    max_length: int | None = Field(
        default=None,
        ge=8,
        le=10_000_000,
        description="Tokens of an input at most; null takes the model's maximum, up to 512.",
    )
    doc_stride: int = Field(
        default=128,
        ge=1,
        le=10_000_000,
        description="Tokens by which windows over a long context overlap (question answering).",
    )
    null_threshold_share: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of the training rows, 1000 at most, that are not trained on, so that the null threshold is chosen on them "
        "(question answering); 0 sets none aside, and the threshold is 0.",
    )
    max_train_samples: SampleCount | None = Field(
        default=None,
        description="Training rows at most, chosen by the hash of their ids, the same for every seed and method; 0 or null takes all.",
    )
    max_validation_samples: SampleCount | None = Field(
        default=None,
        description="Validation rows for the metrics at most, chosen by the hash of their ids; 0 or null takes all.",
    )
    precision: Precision = Field(
        default="float32",
        description="bfloat16 is mixed precision, with weights in float32. A study file may say auto: bfloat16 if the machine "
        "multiplies it natively, else float32; the run records which.",
    )
    checkpoint_every: int | None = Field(
        default=None,
        ge=1,
        description="Also save and score the weights after each so many optimiser steps; null saves none.",
    )
    checkpoints: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="In place of checkpoint_every: the number of checkpoints, on a log scale from step 1 to the last.",
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="The final model: after the last step, or at the checkpoint with the best score on a part of the training rows, which "
        "is held out of training.",
    )
    held_out: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the training rows that keep: best holds out of training."
    )
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = Field(
        default="adamw",
        description="adamw keeps 8 bytes a trained parameter, adamw_8bit 2 (bitsandbytes, on a GPU), adafactor next to none.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute the insides of each block again in the backward pass, in place of keeping them: less memory, about a third "
        "slower, the same numbers.",
    )
    group_by_length: bool = Field(
        default=False, description="Make batches of inputs of like length, which takes less padding."
    )
    compile: bool = Field(
        default=False,
        description="Compile the model with torch.compile; it rounds differently, so it is part of a run's key.",
    )
    save_state_every: str = Field(
        default="15 min",
        description="Also save the training's whole state, from which it goes on after a kill: after so many steps or minutes, such as "
        "`200 steps` or `15 min`; `never` saves none. Only the latest is kept, until the run is done.",
    )
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        default=(),
        description="Also log the losses to TensorBoard, in the run's folder, or to W&B (`tensorboard`, `wandb`).",
    )

    @field_validator("save_state_every")
    @classmethod
    def _is_interval(cls, value: str) -> str:
        SaveInterval.parse(value)
        return value

    @property
    def save_interval(self) -> SaveInterval:
        """The time between two saved states."""
        return SaveInterval.parse(self.save_state_every)

    @field_validator("precision", mode="before")
    @classmethod
    def _resolved(cls, precision: object) -> object:
        return quick_precision() if precision == "auto" else precision

    @model_validator(mode="after")
    def _checkpoints_fit(self) -> TrainingOptions:
        if self.checkpoint_every is not None and self.checkpoints is not None:
            raise ValueError("give either checkpoint_every (in steps) or checkpoints (their number), not both")
        return self

    def require_choice(self) -> None:
        """Raises ConfigError if the best checkpoint is to be kept, and no checkpoints are saved."""
        if self.keep == "best" and self.checkpoint_every is None and self.checkpoints is None:
            raise ConfigError(
                "keep: best chooses among checkpoints, and none are saved: set checkpoints (their number, such as 8) or checkpoint_every "
                "(in steps) beside it under `training:` in the study file"
            )

    def steps(self, features: int) -> int:
        """Returns the optimiser steps of a training over so many features, each one input of the model."""
        per_epoch = math.ceil(math.ceil(features / self.batch_size) / self.gradient_accumulation_steps)
        return math.ceil(per_epoch * self.epochs)

    def rising_steps(self, total: int) -> int:
        """Returns the first optimiser steps, of `total`, in which the learning rate rises."""
        return math.ceil(self.warmup_ratio * total)

    def for_key(self, task_kind: str | None = None) -> dict[str, Any]:
        """The fields that determine the trained weights, as plain JSON. task_kind: some fields are for one kind of task alone."""
        # Which validation rows are scored changes no weight, and the run's key holds these rows' own fingerprint.
        fields = self.model_dump(mode="json", exclude=_NOT_IN_KEY)
        # Options that older versions did not have are left out where they change nothing, so that older runs keep their keys.
        if self.checkpoints is None:
            del fields["checkpoints"]
        if self.keep == "last":
            del fields["keep"], fields["held_out"]
        if task_kind != "extractive_qa":
            del fields["null_threshold_share"]
        for name in _NEWER_OPTIONS:
            if fields[name] == type(self).model_fields[name].default:
                del fields[name]
        return fields


class TrainingOverrides(BaseModel):
    """Some of the training options, set for one arm or task. A field that is not set, or null, is inherited.

    So a number of samples of 0 takes all of them where a more general section has a limit.

    It has the fields of TrainingOptions, each optional; a test holds the two together. lora: options for every arm of LoRA
    and its relatives that does not set them itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    weight_decay: float | None = None
    warmup_ratio: float | None = None
    scheduler: str | None = None
    max_length: int | None = None
    doc_stride: int | None = None
    null_threshold_share: float | None = None
    max_train_samples: int | None = None
    max_validation_samples: int | None = None
    precision: str | None = None
    checkpoint_every: int | None = None
    checkpoints: int | None = None
    keep: str | None = None
    held_out: float | None = None
    optimizer: str | None = None
    gradient_checkpointing: bool | None = None
    group_by_length: bool | None = None
    compile: bool | None = None
    save_state_every: str | None = None
    report_to: tuple[str, ...] | None = None
    lora: LoraOptions | None = None

    @model_validator(mode="after")
    def _valid(self) -> TrainingOverrides:
        # The bounds are written once, in TrainingOptions.
        TrainingOptions.model_validate(self.model_dump(exclude_none=True, exclude={"lora"}))
        return self


def resolve_options(*layers: TrainingOverrides | None) -> TrainingOptions:
    """Put overrides on the defaults, one after the other: a later one wins over an earlier one."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if layer is not None:
            merged.update(layer.model_dump(exclude_none=True, exclude_unset=True, exclude={"lora"}))
    return TrainingOptions.model_validate(merged)


def shared_lora_options(*layers: TrainingOverrides | None) -> dict[str, Any]:
    """The options of LoRA that the last of these overrides with such options sets; empty if none does."""
    given = [layer.lora for layer in layers if layer is not None and layer.lora is not None]
    return given[-1].model_dump(exclude_unset=True) if given else {}


def quick_precision() -> Precision:
    """Choose bfloat16 if the device multiplies it natively; float32 otherwise, or if that cannot be known."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return "float32"
    return "bfloat16" if flags & _NATIVE_BFLOAT16 else "float32"
