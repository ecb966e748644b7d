"""Settings that every pass of a model over samples has, each with its bounds and description."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

TokenBudget = Annotated[
    int | None,
    Field(
        ge=1, description="Tokens in one batch at most, padding included. Without it (null), the memory cap decides."
    ),
]
"""Tokens of one batch, padding included; None: chosen from the memory cap."""

MemoryCap = Annotated[
    int | None,
    Field(
        ge=1 << 20,
        description="Memory for the activations of one batch. Without it (null): 32 MiB, on a GPU a quarter of what is free.",
    ),
]
"""Bytes for the activations of one batch; None: `memory_budget.auto_token_budget` says how many."""
