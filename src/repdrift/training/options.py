"""Options of training. Every field changes the result, so every field is part of a run's key, except where said."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from repdrift.core.records.run import Method

_NATIVE_BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}
"""Flags of x86 and Arm processors that multiply bfloat16 natively; others emulate it, about 20 times slower than float32."""


class LoraOptions(BaseModel):
    """Options of low-rank adaptation (Hu et al. 2021), in peft's terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    target_modules: tuple[str, ...] | None = None
    """Endings of the adapted modules' names; None: the query and value projections, whatever the model calls them."""


class TrainingOptions(BaseModel):
    """The complete options of one run's training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: float = Field(default=3.0, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    batch_size: int = Field(default=4, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1)
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    max_length: int | None = Field(default=None, ge=8)
    """Longest input in tokens; None: the model's maximum, but at most 512."""
    doc_stride: int = Field(default=128, ge=1)
    """Overlap, in tokens, of the windows over a long context (question answering)."""
    max_train_samples: int | None = Field(default=None, ge=4)
    """None: all. Otherwise the rows with the smallest hashes of their ids, the same ones for every seed and method."""
    max_validation_samples: int | None = Field(default=None, ge=4)
    """How many validation rows the metrics are computed on; None: all. They are chosen like the training rows."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed precision; the weights stay float32. `auto` in a study file: bfloat16 if the machine multiplies it
    natively, else float32. The run records the resolved type, which is part of its key."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Also save the weights each time that so many optimiser steps are done; None: only the final model."""
    lora: LoraOptions = LoraOptions()

    @field_validator("precision", mode="before")
    @classmethod
    def _resolved(cls, precision: object) -> object:
        return quick_precision() if precision == "auto" else precision

    def for_key(self, method: Method) -> dict[str, Any]:
        """The fields that determine the weights that `method` trains, as plain JSON."""
        # Which validation rows are scored changes no weight, and the run's key holds these rows' own fingerprint.
        fields = self.model_dump(mode="json", exclude={"max_validation_samples"})
        if method != "lora":
            fields.pop("lora")
        return fields


class TrainingOverrides(BaseModel):
    """Some of the training options, set for one method or task. A field that is not set is inherited.

    It has the fields of TrainingOptions, each optional; a test holds the two together.
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
    max_train_samples: int | None = None
    max_validation_samples: int | None = None
    precision: str | None = None
    checkpoint_every: int | None = None
    lora: LoraOptions | None = None

    @model_validator(mode="after")
    def _valid(self) -> TrainingOverrides:
        # The bounds are written once, in TrainingOptions.
        TrainingOptions.model_validate(self.model_dump(exclude_none=True))
        return self


def resolve_options(*layers: TrainingOverrides | None) -> TrainingOptions:
    """Put overrides on the defaults, one after the other: a later one wins over an earlier one."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if layer is not None:
            merged.update(layer.model_dump(exclude_none=True, exclude_unset=True))
    return TrainingOptions.model_validate(merged)


def quick_precision() -> Literal["float32", "bfloat16"]:
    """Choose bfloat16 if the device multiplies it natively; float32 otherwise, or if that cannot be known."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return "float32"
    return "bfloat16" if flags & _NATIVE_BFLOAT16 else "float32"
