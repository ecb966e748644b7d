"""Representations of one batch, and what is done with the tensors of its sites and layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from repdrift.core.errors import StorageError
from repdrift.core.memory import available_memory_bytes
from repdrift.core.records.sites import SiteLayer


@dataclass(frozen=True)
class PooledBatch:
    """Representations of one batch.

    number: the batch's number in its plan. rows: (m,), the rows of the whole set that this batch fills.
    layers: by layer number the residual stream after the block, (m, d) in the extractor's `dtype`, on the CPU. sites: the same for
    other sites, by `(site, layer)`.
    """

    number: int
    rows: Tensor
    layers: dict[int, Tensor]
    sites: dict[SiteLayer, Tensor] = field(default_factory=dict[SiteLayer, Tensor])


def joined(parts: Sequence[dict[SiteLayer, Tensor]]) -> dict[SiteLayer, Tensor]:
    """The parts of a batch as one: rows of each site and layer, part after part."""
    return {place: torch.cat([part[place] for part in parts]) for place in parts[0]}


def to_cpu(found: dict[SiteLayer, Tensor]) -> dict[SiteLayer, Tensor]:
    """Move the layers to the CPU, all in one transfer, so that the pass waits once and not for each layer."""
    tensors = list(found.values())
    if all(tensor.device.type == "cpu" for tensor in tensors) or len({(t.shape, t.device) for t in tensors}) > 1:
        return {layer: tensor.cpu() for layer, tensor in found.items()}
    return dict(zip(found, torch.stack(tensors).cpu().unbind(0), strict=True))


def require_memory(rows: int, features: int, dtype: torch.dtype, layers: int) -> None:
    """Raises StorageError, with the sizes, if the layers together do not fit into the free memory."""
    needed = rows * features * dtype.itemsize * layers
    available = available_memory_bytes()
    if available is not None and needed > available:
        raise StorageError(
            f"{layers} layers x {rows} rows x {features} features in {dtype} take {needed / 1e9:.1f} GB; "
            f"{available / 1e9:.1f} GB of memory are free. Write them to files (`repdrift extract`), or take fewer layers, "
            "fewer samples, or another pooling than `tokens`."
        )
