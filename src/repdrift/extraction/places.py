"""Which rows of a layer's tensor belong to which samples."""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.core.errors import NonFiniteError
from repdrift.core.records.representation_set import Pooling
from repdrift.tasks import SampleSet


class RowPlaces:
    """One row a sample, in the order of the sample set; for pooling `tokens` one row a real token, sample after sample."""

    def __init__(self, samples: SampleSet, pooling: Pooling) -> None:
        self._samples = samples
        self._lengths = torch.tensor(samples.lengths if pooling == "tokens" else [1] * len(samples))
        self._ends = self._lengths.cumsum(0)
        self.per_token = pooling == "tokens"
        self.total = int(self._ends[-1])

    def of(self, rows: list[int]) -> Tensor:
        """Row numbers of the samples with numbers `rows`, in their order: (m,) int64."""
        if not self.per_token:
            return torch.tensor(rows)
        return torch.cat([torch.arange(int(self._ends[r] - self._lengths[r]), int(self._ends[r])) for r in rows])

    def sample_of(self, place: int) -> int:
        """The sample that a row number belongs to."""
        return int(torch.searchsorted(self._ends, place, right=True))

    def require_finite(self, rows: Tensor, layer: int, where: Tensor, dtype: torch.dtype) -> None:
        """Raises NonFiniteError, naming layer and sample, unless `rows` (m, d) stay finite in `dtype`; `where` as from `of`."""
        finite = torch.isfinite(rows.to(dtype)).all(dim=1)
        if bool(finite.all()):
            return
        sample = self.sample_of(int(where[int((~finite).nonzero()[0])]))
        cause = ""
        if bool(torch.isfinite(rows).all()):
            cause = f" (too large for {str(dtype).removeprefix('torch.')}: take float32 or bfloat16)"
        raise NonFiniteError(
            f"layer {layer}, sample {self._samples.sample_ids[sample]!r} (number {sample}) of task {self._samples.task!r}: "
            f"NaN or Inf in the representation{cause}"
        )
