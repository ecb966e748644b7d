"""The changes of many weights joined: of a whole model, of each kind of module, of each layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median

from repdrift.core.records.weights import MODULE_KINDS, WeightGroup, WeightMoved

ALL_WEIGHTS = "all"
OUTSIDE_BLOCKS = "outside"


def whole_group(weights: Sequence[WeightMoved]) -> WeightGroup:
    """Joins all weights of a model."""
    return joined(ALL_WEIGHTS, weights)


def kind_groups(weights: Sequence[WeightMoved]) -> list[WeightGroup]:
    """Joins the weights of each kind that is there, in the order of MODULE_KINDS."""
    there = [kind for kind in MODULE_KINDS if any(at.kind == kind for at in weights)]
    return [joined(kind, [at for at in weights if at.kind == kind]) for kind in there]


def layer_groups(weights: Sequence[WeightMoved]) -> list[WeightGroup]:
    """Joins the weights of each layer, and last those outside the blocks."""
    layers = sorted({at.layer for at in weights if at.layer is not None})
    groups = [joined(str(layer), [at for at in weights if at.layer == layer]) for layer in layers]
    outside = [at for at in weights if at.layer is None]
    return [*groups, joined(OUTSIDE_BLOCKS, outside)] if outside else groups


def joined(group: str, weights: Iterable[WeightMoved]) -> WeightGroup:
    """Joins weights: norms as the root of the sum of squares, ranks as medians, alignments as means, intruders as a sum."""
    weights = list(weights)
    changed = [at for at in weights if at.change_norm > 0.0]
    matrices = [at for at in changed if at.inputs is not None]
    size, moved = math.hypot(*(at.norm for at in changed)), math.hypot(*(at.change_norm for at in changed))
    counted = [at for at in matrices if at.intruders is not None]
    return WeightGroup(
        group=group,
        weights=len(weights),
        changed=len(changed),
        change_norm=moved,
        relative_change=0.0 if not changed else moved / size if size > 0.0 else None,
        stable_rank=_median([at.stable_rank for at in matrices]),
        rank_90=_median([at.rank_90 for at in matrices]),
        alignment_left=_mean([at.alignment_left for at in matrices]),
        alignment_right=_mean([at.alignment_right for at in matrices]),
        intruders=sum(at.intruders or 0 for at in counted) if counted else None,
        vectors=sum(at.k or 0 for at in counted),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
