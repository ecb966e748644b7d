"""Extraction into memory, for a few rows that are read at once and not kept on disk."""

from __future__ import annotations

import gc
from collections.abc import Mapping

import torch
from torch import Tensor

from repdrift.core.records.sites import SiteLayer
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.layer_major import LayerMajorExtraction
from repdrift.extraction.pooled_batch import require_memory
from repdrift.extraction.row_index import RowIndex
from repdrift.extraction.schedules import scheduled


def extract_rows(job: ExtractionJob) -> dict[int, Tensor]:
    """Returns the residual stream by layer: (n, d) each, in the order of the samples; with pooling `tokens` a row for each token.

    A model larger than memory is run block by block, as for a set on disk. The processes of `torchrun` share nothing here.
    Raises ModelError if the model cannot be loaded or run, NonFiniteError naming layer and sample, DataError if a sample is too long for it,
    StorageError if the rows do not fit into memory.
    """
    extraction = scheduled(job)
    kept = KeptRows(RowIndex(job.samples, job.pooling).n_rows, len(extraction.layers))
    plan = extraction.plan()
    extraction.write(plan, list(range(len(plan))), kept)
    has_cycle = isinstance(extraction, LayerMajorExtraction)  # its lazily loaded model refers to itself
    del extraction
    if has_cycle:
        gc.collect()
    return kept.layers


class KeptRows:
    """Keeps rows in memory. layers: by layer (n, d), complete once all batches were written."""

    def __init__(self, n_rows: int, n_layers: int) -> None:
        self._n_rows = n_rows
        self._n_layers = n_layers
        self.layers: dict[int, Tensor] = {}

    def write_batch(
        self,
        number: int,
        row_index: Tensor,
        tensors: Mapping[int, Tensor],
        sites: Mapping[SiteLayer, Tensor] | None = None,
    ) -> None:
        """Takes rows of one batch; other sites than the residual stream are not kept. Raises StorageError if all rows do not fit into memory."""
        del number, sites
        for layer, values in tensors.items():
            if not self.layers:
                require_memory(self._n_rows, values.shape[1], values.dtype, self._n_layers)
            if layer not in self.layers:
                self.layers[layer] = torch.empty((self._n_rows, values.shape[1]), dtype=values.dtype)
            self.layers[layer][row_index] = values
