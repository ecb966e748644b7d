"""One vector for each text: the final hidden states of a model, pooled, at length 1."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.batches.batching import Batch
from repdrift.batches.final_states import FinalStates
from repdrift.core.errors import NonFiniteError
from repdrift.core.progress import Bar
from repdrift.models import running_errors
from repdrift.outcomes.retrieval_texts import TextPooling
from repdrift.tasks import SampleSet


def text_vectors(reader: FinalStates, samples: SampleSet, pooling: TextPooling, what: str) -> NDArray[np.float64]:
    """Runs the model over `samples`: (n, d) float64, each of length 1. what: names the model, for progress and messages.

    Raises NonFiniteError if the model gives NaN or Inf, or a vector of length 0, DataError if it cannot run a sample.
    """
    plan = reader.plan(samples)
    found: NDArray[np.float64] | None = None
    with running_errors(f"{what} cannot be run"), Bar(f"{what}, {samples.task}", len(samples)) as bar:
        for batch in plan:
            for part, hidden in reader.of(batch):
                vectors = _pooled(part, hidden, pooling).cpu().numpy()
                found = np.full((len(samples), vectors.shape[1]), np.nan) if found is None else found
                found[part.sample_indices] = vectors
            bar.advance(len(batch.sample_indices))
    assert found is not None  # noqa: S101  a sample set is never empty
    lengths = np.linalg.norm(found, axis=1)
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(wrong):
        name = samples.sample_ids[int(wrong[0])]
        raise NonFiniteError(
            f"{what}: the vector of {name!r} has length {lengths[wrong[0]]}, so that it has no direction. The model diverged, or its precision is too low."
        )
    return found / lengths[:, None]


def _pooled(batch: Batch, hidden: Tensor, pooling: TextPooling) -> Tensor:
    """(b, d) float64 of hidden states (b, t, d); padding takes no part."""
    mask = batch.inputs["attention_mask"].to(hidden.device, torch.float64)
    states = hidden.to(torch.float64)
    if pooling == "mean":
        return torch.einsum("bt,btd->bd", mask, states) / mask.sum(dim=1, keepdim=True)
    position = mask.argmax(dim=1) if pooling == "cls" else mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), position]
