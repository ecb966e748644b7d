"""How a model is trained: every field changes the result, so every field is part of a run's key."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from repdrift.core.records.run import Method
from repdrift.training.precision import quick_precision


class LoraOptions(BaseModel):
    """Low-rank adaptation (Hu et al. 2021), as peft names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    target_modules: tuple[str, ...] | None = None
    """Names of the adapted modules, by their ending; None: query and value projections, whatever the model calls them."""


class TrainingOptions(BaseModel):
    """One run's training, complete."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: float = Field(default=3.0, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    batch_size: int = Field(default=4, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1)
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    max_length: int | None = Field(default=None, ge=8)
    """Tokens; None: the model's maximum, at most 512."""
    doc_stride: int = Field(default=128, ge=1)
    """Tokens by which windows over a long context overlap (question answering)."""
    max_train_samples: int | None = Field(default=None, ge=4)
    """None: all. A choice is by the hash of the sample id, the same for every seed and method."""
    max_validation_samples: int | None = Field(default=None, ge=4)
    """How many validation rows the metrics are taken on; None: all. Chosen as above."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed precision, weights stay float32. `auto` in a study file: bfloat16 where the machine multiplies it
    natively, else float32; what it came to is recorded and is part of the run's key."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Also save the weights after every so many optimiser steps."""
    lora: LoraOptions = LoraOptions()

    @field_validator("precision", mode="before")
    @classmethod
    def _resolved(cls, precision: object) -> object:
        return quick_precision() if precision == "auto" else precision

    def for_key(self, method: Method) -> dict[str, Any]:
        """The fields that determine the result of `method`, as plain JSON."""
        # Which validation rows are scored changes no weight; the run's key holds the rows' own fingerprint.
        fields = self.model_dump(mode="json", exclude={"max_validation_samples"})
        if method != "lora":
            fields.pop("lora")
        return fields


class TrainingOverrides(BaseModel):
    """Some of the training options, set for one method or task; what is not set is inherited."""

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
        TrainingOptions.model_validate(
            self.model_dump(exclude_none=True)
        )  # same bounds, checked where they are written
        return self


def resolve_options(*layers: TrainingOverrides | None) -> TrainingOptions:
    """Merge overrides, later ones over earlier ones, onto the defaults."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if layer is not None:
            merged.update(layer.model_dump(exclude_none=True, exclude_unset=True))
    return TrainingOptions.model_validate(merged)
