"""Settings of a direct comparison."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.records.representation_set import Pooling
from repdrift.core.records.results import DEFAULT_MEASURES, PRIMARY_MEASURE
from repdrift.drift.measure_names import require_measures


class ComparisonOptions(BaseModel):
    """How models are run and measured. Faults are reported as pydantic does, all together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pooling: Pooling = "mean"
    layers: tuple[int, ...] | None = None
    """Block numbers; null: all."""
    measures: tuple[str, ...] = DEFAULT_MEASURES
    compute_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    token_budget: int | None = Field(default=None, ge=1)
    memory_cap_bytes: int | None = Field(default=None, ge=1 << 20)
    accumulate: Literal["auto", "rows", "moments"] = "auto"
    """Keep the pooled rows (every measure, with intervals), or only moments (any number of rows; CKA, raw cosine)."""
    controls: bool = True
    """Also run the base model again, and with random changes of the same size."""
    seed: int = 0
    """Of the random changes."""
    blocks: str | None = None
    stack: Literal["encoder", "decoder"] | None = None

    @field_validator("measures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            require_measures(names)
        except (ConfigError, UnknownNameError) as error:
            raise ValueError(str(error)) from error
        return names if PRIMARY_MEASURE in names else (PRIMARY_MEASURE, *names)
