"""Directions of a model beside those of a random change of the same size: noise in the weights shifts all samples too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.directions import BesideRandomChange, DirectionCountRecord
from repdrift.similarity.directions.alignments import shift_share
from repdrift.similarity.directions.counts import DirectionCount, direction_counts
from repdrift.similarity.directions.differences import Differences, differences
from repdrift.similarity.directions.shift import mean_shift


@dataclass(frozen=True)
class RandomRows:
    """Rows of the base model after a random change of its weights, by layer. part: (m,) numbers of these rows among all; None: all."""

    rows: Mapping[int, Tensor]
    part: Tensor | None = None


def random_shift(base: Tensor, control: RandomRows, layer: int) -> Tensor:
    """The mean difference (p,) that the random change makes, over the rows that the control has. base: (n, p)."""
    rows = base if control.part is None else base[control.part.to(base.device)]
    return differences(rows, control.rows[layer], None).mean


def beside_random(
    base: Tensor, tuned: Tensor, control: RandomRows, layer: int, groups: Sequence[str] | None
) -> BesideRandomChange:
    """Measures both over the rows that the control has. base, tuned: (n, p). groups: the group of each row; None: each stands alone."""
    if control.part is not None:
        numbers = control.part.to(base.device)
        base, tuned = base[numbers], tuned[numbers]
        groups = None if groups is None else [groups[int(number)] for number in control.part]
    own, random = differences(base, tuned, groups), differences(base, control.rows[layer], groups)
    counts = direction_counts(own), direction_counts(random)
    return BesideRandomChange(
        rows=own.n,
        own_shift_share=_shift_share(own),
        random_shift_share=_shift_share(random),
        own_relative_shift=_relative_shift(own),
        random_relative_shift=_relative_shift(random),
        own_whole=count_record(counts[0].whole),
        random_whole=count_record(counts[1].whole),
        own_centred=count_record(counts[0].centred),
        random_centred=count_record(counts[1].centred),
    )


def count_record(found: DirectionCount | None) -> DirectionCountRecord | None:
    """The record of a count of directions."""
    if found is None:
        return None
    return DirectionCountRecord(
        carrying=found.carrying,
        most=found.most,
        participation_ratio=found.participation_ratio,
        top_share=found.top_share,
    )


def _shift_share(d: Differences) -> float | None:
    try:
        return shift_share(d)
    except DegenerateInputError:
        return None


def _relative_shift(d: Differences) -> float | None:
    if d.are_rounding or d.n_units < 2:
        return None
    return mean_shift(d, with_interval=False).relative_size
