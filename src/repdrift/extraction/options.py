"""Settings of an extraction, each with its description: the study file and the command line take them from here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from repdrift.batches.pass_options import MemoryCap, TokenBudget
from repdrift.core.records.representation_set import PayloadFormat, PoolingChoice, PoolOver, Stack
from repdrift.core.records.sites import RESID_POST, SITES, Site, in_order
from repdrift.core.sample_count import SampleCount
from repdrift.tasks import DEFAULT_SAMPLES

Schedule = Literal["auto", "sample", "layer"]
RandomChangeChoice = Literal["first", "all", "none"]


class ExtractionOptions(BaseModel):
    """Settings of one extraction.

    Only the fields that `for_key` returns change a representation by more than floating-point noise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: SampleCount | None = Field(
        default=DEFAULT_SAMPLES,
        description="Number of validation samples of each task; 0 or null takes all, as do tasks that have fewer.",
    )
    max_length: int | None = Field(
        default=None,
        ge=8,
        description="Tokens of a sample at most; null takes the maximum of the task's training, or else the model's, up to 512.",
    )
    pooling: PoolingChoice = Field(
        default="auto",
        description=(
            "How the tokens of a sample become one row (mean, mean_without_sinks, last, first, cls, mean_skip_first); tokens keeps a row "
            "for each. auto is mean_without_sinks for a causal decoder, and mean for any other model."
        ),
    )
    pool_over: PoolOver = Field(
        default="all",
        description=(
            "Tokens that the pooling takes: all, or for tasks of kind causal_lm those of the prompt or of the completion. Those of the "
            "completion are its own tokens, its end token among them, not the tokens that predict them."
        ),
    )
    layers: tuple[int, ...] | None = Field(
        default=None, min_length=1, description="Layers to extract, where 0 is the first block; null takes all."
    )
    sites: tuple[Site, ...] = Field(
        default=(RESID_POST,),
        description=(
            f"Places to read: {', '.join(SITES)}. The first, the residual stream after a block, is always read; docs/explanation/sites.md says what "
            "the others are."
        ),
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Number format of the files that are written."
    )
    compute_dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Number format in which the model is run."
    )
    payload: PayloadFormat = Field(default="pt", description="File format of the layers: pt (torch) or safetensors.")
    blocks: str | None = Field(
        default=None,
        description="Name of the module list that holds the model's blocks, for a model in which it is not found by itself.",
    )
    stack: Stack | None = Field(
        default=None,
        description="Half of an encoder-decoder model to read, encoder or decoder; null takes the encoder.",
    )
    token_budget: TokenBudget = None
    memory_cap_bytes: MemoryCap = None
    schedule: Schedule = Field(
        default="auto",
        description=(
            "Order of the work: sample runs batches through the whole model, layer loads one block at a time, and auto takes "
            "layer where the model would fill over three quarters of the free memory."
        ),
    )
    weights: bool = Field(default=True, description="Also measure how far each weight is from the base model's.")
    random_change: RandomChangeChoice = Field(
        default="first",
        description=(
            "Which runs of a study get the control of a random change as large as training's: the run of the first seed of "
            "each task and method, all, or none."
        ),
    )

    @field_validator("sites")
    @classmethod
    def _in_order(cls, sites: tuple[Site, ...]) -> tuple[Site, ...]:
        """The sites in their usual order, each once, with `resid_post`: equal choices then have equal keys."""
        return in_order(sites)

    def for_key(self) -> dict[str, Any]:
        """The fields that determine the content of a representation set, apart from its samples.

        `auto` counts as `mean`; an `ExtractionJob` has put the pooling of its base model in its place.
        """
        fields = self.model_dump(
            mode="json", include={"pooling", "layers", "dtype", "compute_dtype", "payload", "blocks"}
        )
        if fields["pooling"] == "cls":
            fields["pooling"] = "first"  # two names of one pooling
        if fields["pooling"] == "auto":
            fields["pooling"] = "mean"
        if self.stack == "decoder":  # no stack means the encoder
            fields["stack"] = self.stack
        if self.sites != (RESID_POST,):  # sets of older versions hold the residual stream alone
            fields["sites"] = list(self.sites)
        if self.pool_over != "all":  # sets of older versions are over all tokens
            fields["pool_over"] = self.pool_over
        return fields
