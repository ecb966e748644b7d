"""Sums of recorded outputs: which of them add up to another record, as closely as the model's precision allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_ROUNDINGS = 4.0
"""Times the distance between neighbouring numbers: the rounding of three additions and a factor, element by element."""
_SIEVE_FEATURES = 48
_LEFT_WITH_IT = 0.5
"""A term counts as seen in a sum if the error without it is more than twice the error with it."""


def adds_up(values: Sequence[Tensor], total: Tensor, eps: float) -> bool:
    """True if `values`, (b, t, d) each, add up to `total` in every element, as closely as sums in the model's precision do.

    eps: of the model's number format. Each element has a tolerance of its own, so that the huge activations of a few tokens and
    features do not hide an error in the others.
    """
    size, found = total.abs(), torch.zeros_like(total)
    for value in values:
        size, found = size + value.abs(), found + value
    return bool(((found - total).abs() <= _ROUNDINGS * eps * size).all())


def explains(values: Sequence[Tensor], number: int, total: Tensor) -> bool:
    """True if `values` add up to `total` much more closely with `values[number]` than without.

    In coarse number formats a small term may be lost in a large sum, and then anything small would obey the law. A term of zeros
    explains nothing.
    """
    size = total.abs() + sum(value.abs() for value in values)
    with_it = (sum(values) - total) / size.clamp(min=torch.finfo(size.dtype).tiny)
    without = with_it - values[number] / size.clamp(min=torch.finfo(size.dtype).tiny)
    return bool(with_it.square().mean().sqrt() <= _LEFT_WITH_IT * without.square().mean().sqrt()) and bool(
        values[number].any()
    )


def sums_to(parts: Sequence[Sequence[Tensor]], total: Tensor, eps: float) -> Iterator[tuple[int, ...]]:
    """Give every choice of one tensor of each part, by its number there, whose sum is `total`; all (b, t, d) float64.

    A few features of the last token rule out almost all choices before whole tensors are added.
    """
    if not all(parts):
        return
    step = max(1, total.shape[2] // _SIEVE_FEATURES)
    few = [torch.stack([tensor[-1, -1, ::step] for tensor in part]) for part in parts]
    found, size = _broadcast_sums(few)
    wanted = total[-1, -1, ::step]
    fits = ((found - wanted).abs() <= _ROUNDINGS * eps * (size + wanted.abs())).all(dim=-1)
    for choice in fits.nonzero().tolist():
        if adds_up([part[number] for part, number in zip(parts, choice, strict=True)], total, eps):
            yield tuple(choice)


def _broadcast_sums(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sums of one row of each part, and of their magnitudes: (n1, n2, ..., features)."""
    total, size = parts[0], parts[0].abs()
    for part in parts[1:]:
        total, size = total.unsqueeze(-2) + part, size.unsqueeze(-2) + part.abs()
    return total, size
