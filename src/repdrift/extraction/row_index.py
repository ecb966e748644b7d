"""The rows of a layer's tensor that belong to each sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from repdrift.core.errors import NonFiniteError
from repdrift.core.records.representation_set import Pooling
from repdrift.tasks import SampleSet


class RowIndex:
    """Maps samples to rows of a layer's tensor, and rows to samples.

    A sample has one row, in the order of the sample set. With pooling `tokens` it has one row for each real token, and
    the rows of one sample follow those of the sample before it. Real tokens are those that the pooling takes (`pool_over`).
    """

    def __init__(self, samples: SampleSet, pooling: Pooling) -> None:
        self._samples = samples
        self._per_token = pooling == "tokens"
        self._row_counts = torch.tensor(samples.pooled_lengths if self._per_token else [1] * len(samples))
        self._ends = self._row_counts.cumsum(0)
        self.n_rows = int(self._ends[-1])

    def rows_of(self, sample_indices: Sequence[int]) -> Tensor:
        """Row numbers of these samples, sample after sample: (m,) int64."""
        if not self._per_token:
            return torch.tensor(sample_indices)
        starts = self._ends - self._row_counts
        return torch.cat([torch.arange(int(starts[i]), int(self._ends[i])) for i in sample_indices])

    def sample_of(self, row: int) -> int:
        """Index of the sample that a row belongs to."""
        return int(torch.searchsorted(self._ends, row, right=True))

    def require_finite(self, values: Tensor, where: int | str, rows: Tensor, dtype: torch.dtype) -> None:
        """Raises NonFiniteError, naming layer (or `where` in words) and sample, if a number is NaN or Inf once it is stored as `dtype`.

        values: (m, d), the representations. rows: (m,), the row numbers that they belong to.
        """
        finite = torch.isfinite(values.to(dtype)).all(dim=1)
        if bool(finite.all()):
            return
        sample = self.sample_of(int(rows[int((~finite).nonzero()[0])]))
        cause = ""
        if bool(torch.isfinite(values).all()):
            cause = f" (too large for {str(dtype).removeprefix('torch.')}: take float32 or bfloat16)"
        raise NonFiniteError(
            f"{f'layer {where}' if isinstance(where, int) else where}, {self._samples.described(sample)} of task {self._samples.task!r}: "
            f"NaN or Inf in the representation{cause}"
        )
