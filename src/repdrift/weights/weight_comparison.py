"""The record of a comparison of weights, and the change of one dense weight."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from repdrift.core.errors import NonFiniteError
from repdrift.core.records.representation_set import ModuleChange
from repdrift.weights.spectrum import frobenius_norm, spectral_norm, stable_rank
from repdrift.weights.weight_names import WeightName

OUTSIDE_BACKBONE = "outside the backbone"
"""Last words of a line of `not_compared` on heads and other parts that have no place in the body."""
_NAMED = 4  # weights that one line names


@dataclass(frozen=True)
class WeightComparison:
    """The change of every weight that was compared, blocks first, and a line with the reason for each that was not.

    resized: a line for each weight of which only a part was compared, since one model has more rows.
    rounds_to_base: the format of the base model's files if the tuned model's weights, rounded to it, are the base model's, so
    that the whole change is the rounding of the base model; None if not.
    """

    changes: list[ModuleChange]
    not_compared: list[str]
    resized: list[str] = field(default_factory=list)
    rounds_to_base: str | None = None


def dense_change(weight: WeightName, before: Tensor, after: Tensor, *, note: str | None = None) -> ModuleChange:
    """The change of one weight from `before` to `after`, floating tensors of one shape; neither is written to.

    Norms are summed in float64. Only matrices have a stable rank.
    Raises NonFiniteError naming the weight if either holds NaN or Inf.
    """
    try:
        norm = frobenius_norm(before)
        change = difference(before, after)
        change_norm = frobenius_norm(change)
        rank = stable_rank(change_norm, spectral_norm(change)) if change.dim() == 2 else None
    except NonFiniteError as error:
        raise NonFiniteError(f"{weight}: {error}") from error
    return ModuleChange(
        layer=weight.layer,
        module=weight.name,
        norm=norm,
        change_norm=change_norm,
        relative_change=relative_change(change_norm, norm),
        stable_rank=rank,
        note=note,
    )


def difference(before: Tensor, after: Tensor) -> Tensor:
    """Returns after - before on the CPU; neither is written to.

    In float32, which is exact where the two are within a factor of 2 (Sterbenz), or in float64 for float64 weights.
    """
    wide = torch.float64 if torch.float64 in (before.dtype, after.dtype) else torch.float32
    return after.detach().to(device="cpu", dtype=wide, copy=True).sub_(before.detach().cpu())


def relative_change(change_norm: float, norm: float) -> float | None:
    """change_norm / norm; None if the base weight is zero, as fresh biases are."""
    return change_norm / norm if norm > 0.0 else None


def outside_backbone(names: list[str]) -> list[str]:
    """A line of `not_compared` for all weights outside the backbone (beside an encoder: a whole decoder); [] for none."""
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"{', '.join(names[:_NAMED])}{more}: {OUTSIDE_BACKBONE}"]
