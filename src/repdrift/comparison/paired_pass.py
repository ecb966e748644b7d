"""Paired streaming: base and tuned models see the same batch, and only sums over rows are kept, however many rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repdrift.batches.batching import Batch, BatchPlan
from repdrift.core.errors import ModelError, NonFiniteError
from repdrift.core.process_group import world
from repdrift.core.progress import Bar
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.pooling import Pool, owned_values
from repdrift.extraction.row_index import RowIndex
from repdrift.similarity.streaming import PairedAccumulator
from repdrift.tasks import SampleSet

Accumulators = dict[SiteLayer, PairedAccumulator]
"""By site and layer."""
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ModelRun:
    """One model in a pass: its extractor, and a context in which its weights are the ones in use."""

    extractor: RepresentationExtractor
    switch: Callable[[], AbstractContextManager[Any]]

    @property
    def places(self) -> list[SiteLayer]:
        """Every site and layer that is read."""
        return self.extractor.places

    def rows(self, batch: Batch) -> dict[SiteLayer, Tensor]:
        """Runs one batch and returns the rows of every site and layer, (m, d) float32, on the model's device."""
        found: dict[SiteLayer, list[Tensor]] = {place: [] for place in self.places}

        def keep(place: SiteLayer, hidden: Tensor, pool: Pool) -> None:
            found[place].append(owned_values(pool(hidden), hidden))

        with self.switch():
            run_places(self.extractor, batch, keep)
        return {place: parts[0] if len(parts) == 1 else torch.cat(parts) for place, parts in found.items()}


def run_places(extractor: Any, batch: Batch, on_place: Callable[[SiteLayer, Tensor, Pool], None]) -> None:
    """Runs one batch; calls `on_place` with the hidden state of every site and layer as it appears."""

    def on_block(layer: int, hidden: Tensor, pool: Pool) -> None:
        on_place(SiteLayer(RESID_POST, layer), hidden, pool)

    extractor.forward(batch, on_block, on_place)


def stream(
    base: ModelRun,
    tuned: Sequence[ModelRun],
    plan: BatchPlan,
    numbers: Sequence[int],
    *,
    change: Change | None = None,
    what: str = "paired streaming",
) -> Accumulators:
    """Runs the batches with these numbers, and returns by site and layer the sums of the base model with every tuned one.

    Places that not all of the models have take no part.

    Of one batch, memory holds the rows of the base model and of all tuned models but the last. Those of the last go
    straight into the sums. change: what is done to the tuned rows before they are paired (the mispaired control). Under
    `torchrun` each process takes its share of the batches; the first one's accumulators then hold the sums of all.
    Raises NonFiniteError, and ModelError if a layer's width is not the base model's. Every process raises what one of
    them raises.
    """
    ours = world()
    shared = [place for place in base.places if all(place in run.places for run in tuned)]
    accumulators = {place: PairedAccumulator(len(tuned)) for place in shared}
    mine = list(numbers)[ours.rank :: ours.size]
    with ours.together(what), Bar(what, sum(len(plan.sample_indices[n]) for n in mine)) as bar:
        for number in mine:
            batch = plan[number]
            held = [base.rows(batch), *(run.rows(batch) for run in tuned[:-1])]
            _add_last(tuned[-1], batch, plan.samples, held, accumulators, change)
            bar.advance(len(batch.sample_indices))
    gathered = ours.gather(accumulators)
    if gathered is None:
        return accumulators
    merged = gathered[0]
    for other in gathered[1:]:
        merged = {place: found.merge(other[place]) for place, found in merged.items()}
    return merged


def _add_last(
    run: ModelRun,
    batch: Batch,
    samples: SampleSet,
    held: list[dict[SiteLayer, Tensor]],
    accumulators: Accumulators,
    change: Change | None,
) -> None:
    """Runs the last model, and adds each site and layer to the sums as it appears. The rows held of it are freed then."""

    def add(place: SiteLayer, hidden: Tensor, pool: Pool) -> None:
        if place not in accumulators:
            return
        base, *others = (rows.pop(place) for rows in held)
        last = pool(hidden)
        if last.shape[1] != base.shape[1]:
            raise ModelError(
                f"{place.words} has {last.shape[1]} features, and {base.shape[1]} in the base model: streamed moments need the "
                "same width in both. Keep the rows (--accumulate rows)."
            )
        ys = [*others, last]
        try:
            accumulators[place].update(base, ys if change is None else [change(y) for y in ys])
        except NonFiniteError:
            index = RowIndex(samples, run.extractor.pooling)
            rows = index.rows_of(batch.sample_indices)
            for values in (base, *ys):
                index.require_finite(values, place.words, rows, values.dtype)  # says which layer and sample
            raise

    with run.switch():
        run_places(run.extractor, batch, add)
