"""What is extracted, and how: only the fields of `for_key` change the result beyond floating-point noise."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from repdrift.core.records.representation_set import PayloadFormat, Pooling
from repdrift.models import Stack
from repdrift.tasks import DEFAULT_SAMPLES

Schedule = Literal["auto", "sample", "layer"]
RandomChangeChoice = Literal["first", "all", "none"]


class ExtractionOptions(BaseModel):
    """Settings of one extraction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int | None = Field(default=DEFAULT_SAMPLES, ge=4)
    """Validation samples; all of them where a task has fewer. null: all."""
    max_length: int | None = Field(default=None, ge=8)
    """Tokens; null: the training maximum of the task, else the model's, at most 512."""
    pooling: Pooling = "mean"
    layers: tuple[int, ...] | None = None
    """Block numbers; null: all."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the files."""
    compute_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """In which the model runs."""
    payload: PayloadFormat = "pt"
    blocks: str | None = None
    """Name of the module list that holds the blocks, where it is not found by itself."""
    stack: Stack | None = None
    """`encoder` or `decoder`, of a model that has both; null: the encoder."""
    token_budget: int | None = Field(default=None, ge=1)
    """Tokens of one batch, padding included; null: by `memory_cap_bytes`. Does not change the result."""
    memory_cap_bytes: int | None = Field(default=None, ge=1 << 20)
    """For the activations of one batch; null: 128 MiB, on an accelerator a quarter of what is free. Does not change the result."""
    schedule: Schedule = "auto"
    """`sample`: batches flow through the whole model. `layer`: one block's weights at a time, for a model larger than memory.
    `auto`: `layer` where the model would take over three quarters of the free memory. Does not change the result."""
    weights: bool = True
    """Also compare the weights with the base model's, a pair of tensors at a time. Does not change the representations."""
    random_change: RandomChangeChoice = "first"
    """Of a study, which runs get the control of a random change of their size: `first`: of each task and method the run of the
    first seed, `all`: every run, `none`. One more extraction each. Does not change any other set."""

    def for_key(self) -> dict[str, Any]:
        """The fields that determine a representation set's content (its samples have a fingerprint of their own)."""
        fields = self.model_dump(
            mode="json", include={"pooling", "layers", "dtype", "compute_dtype", "payload", "blocks"}
        )
        if fields["pooling"] == "cls":
            fields["pooling"] = "first"  # two names of one pooling
        if self.stack == "decoder":  # the encoder is what no stack means
            fields["stack"] = self.stack
        return fields
