"""Settings of a pass over two models' outputs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from repdrift.batches.pass_options import MemoryCap, TokenBudget


class OutputOptions(BaseModel):
    """Settings of one pass over outputs. Only the fields that `for_key` returns change a value by more than floating-point noise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compute_dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Number format in which the models run; log-probabilities are always float32."
    )
    common_tokens: bool = Field(
        default=False,
        description="Compare two vocabularies on the tokens that they have in common, instead of refusing them.",
    )
    token_budget: TokenBudget = None
    memory_cap_bytes: MemoryCap = None
    logits_bytes: int | None = Field(
        default=None,
        ge=1 << 16,
        description="Memory for the logits of both models and what is computed from them; null means 64 MiB, on a GPU 1 GiB. Tokens "
        "are taken in chunks that fit.",
    )

    def for_key(self) -> dict[str, Any]:
        """The fields that determine values, as plain JSON."""
        return self.model_dump(mode="json", include={"compute_dtype", "common_tokens"})
