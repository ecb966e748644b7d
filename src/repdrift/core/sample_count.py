"""A number of samples in options and fields: so many at most, or 0 or null for all of them, everywhere alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

LEAST_SAMPLES = 4
"""The least number of samples: unbiased HSIC divides by n (n - 3)."""


def _none_for_zero(count: int) -> int | None:
    if count == 0:
        return None
    if count < LEAST_SAMPLES:
        raise ValueError(f"expected 0 (all samples) or at least {LEAST_SAMPLES}, got {count}")
    return count


SampleCount = Annotated[int, AfterValidator(_none_for_zero)]
"""A field's type for a number of samples. 0 becomes None, which means all."""
