"""Takers of extracted rows, batch by batch: a set on disk, or rows that stay in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from repdrift.core.records.sites import SiteLayer


class BatchWriter(Protocol):
    """Takes the rows of batches. `RepresentationSetWriter` is one, `KeptRows` another."""

    def write_batch(
        self,
        number: int,
        row_index: Tensor,
        tensors: Mapping[int, Tensor],
        sites: Mapping[SiteLayer, Tensor] | None = None,
        /,
    ) -> None:
        """Takes rows of batch `number`. row_index: (m,) their numbers in the whole set. tensors: by layer (m, d); sites: the same of other sites.

        A batch's layers may come in several calls.
        """
        ...
