"""What is extracted, and how: only the fields of `for_key` change the result beyond floating-point noise."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from repdrift.core.records.representation_set import PayloadFormat, Pooling
from repdrift.extraction.extractor import DEFAULT_TOKEN_BUDGET
from repdrift.tasks import DEFAULT_SAMPLES


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
    token_budget: int = Field(default=DEFAULT_TOKEN_BUDGET, ge=1)
    """Tokens of one batch, padding included. Does not change the result."""
    blocks: str | None = None
    """Name of the module list that holds the blocks, where it is not found by itself."""

    def for_key(self) -> dict[str, Any]:
        """The fields that determine a representation set's content (its samples have a fingerprint of their own)."""
        fields = self.model_dump(
            mode="json", include={"pooling", "layers", "dtype", "compute_dtype", "payload", "blocks"}
        )
        if fields["pooling"] == "cls":
            fields["pooling"] = "first"  # two names of one pooling
        return fields
