"""The base model of a pass over outputs: its head, and its final hidden states where predictions are read, for any number of tuned models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from repdrift.batches.batching import Batch, BatchPlan
from repdrift.batches.final_states import FinalStates
from repdrift.core.process_group import device, world
from repdrift.core.progress import Bar
from repdrift.models import ModelSource, load_tokenizer, running_errors
from repdrift.models.language_model import load_language_model
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.base_states import BaseStates, StatesInMemory, StatesOnDisk, made_once, states_key
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.read_places import ReadPlaces, read_places
from repdrift.tasks import SampleSet


@dataclass(frozen=True)
class BaseOutputs:
    """A base model that was run over samples. plan: the batches, which every model beside it takes too."""

    source: ModelSource
    samples: SampleSet
    head: OutputHead
    places: ReadPlaces
    plan: BatchPlan
    states: BaseStates


def run_base(base: ModelSource, samples: SampleSet, options: OutputOptions, keep_in: Path | None = None) -> BaseOutputs:
    """Loads the base model and runs it over `samples`, unless its states are in the folder `keep_in` already.

    Only the head stays in memory. Under `torchrun` the processes share the batches.
    Raises OutcomeNotApplicable if it has no language-modelling head or no text has a token to predict; ModelError if it cannot be
    loaded; DataError if a sample is too long for it.
    """
    with world().together("base model, loaded"):
        split = load_language_model(base, dtype=options.compute_dtype)
        tokenizer = samples.tokenizer if samples.tokenizer is not None else load_tokenizer(base)
        places = read_places(samples, split.head.kind, tokenizer)
        nn.Module.to(split.body, device())
        split.head.to(device())
        reader = FinalStates(split.body, token_budget=options.token_budget, memory_cap_bytes=options.memory_cap_bytes)
        plan = reader.plan(places.inputs)
    states: BaseStates = StatesInMemory()
    if keep_in is None:
        _run(reader, plan, places, states)
        return BaseOutputs(base, samples, split.head, places, plan, states)
    states = StatesOnDisk(keep_in, states_key(base, samples, split.head.kind, options.compute_dtype))

    def make() -> None:
        states.begin(plan.settings)
        world().barrier()
        _run(reader, plan, places, states)
        world().barrier()
        if world().is_first:
            states.finish(plan.settings, range(len(plan)), int(places.counts.sum()))
        world().barrier()

    made_once(states, make)
    if states.record is not None:
        plan = BatchPlan(places.inputs, **states.record.plan)  # pyright: ignore[reportArgumentType]
    return BaseOutputs(base, samples, split.head, places, plan, states)


def states_at_places(reader: FinalStates, batch: Batch, places: ReadPlaces) -> Tensor:
    """Final hidden states of one batch where predictions are read, (m, d) on the model's device, sample after sample."""
    found = [rows_at_places(part, hidden, places) for part, hidden in reader.of(batch)]
    return found[0] if len(found) == 1 else torch.cat(found)


def rows_at_places(batch: Batch, hidden: Tensor, places: ReadPlaces) -> Tensor:
    """Rows (m, d) of hidden states (b, t, d) of a batch where predictions are read, sample after sample."""
    rows = [k for k, index in enumerate(batch.sample_indices) for _ in places.places[index]]
    at = [int(position) for index in batch.sample_indices for position in places.places[index]]
    return hidden[torch.tensor(rows, dtype=torch.long), torch.tensor(at, dtype=torch.long)]


def _run(reader: FinalStates, plan: BatchPlan, places: ReadPlaces, states: BaseStates) -> None:
    processes = world()
    mine = processes.share(len(plan))
    what, count = "outputs of the base model", sum(len(plan.sample_indices[n]) for n in mine)
    with processes.together(what), running_errors(what), Bar(what, count) as bar:
        for number in mine:
            batch = plan[number]
            counts = [len(places.places[index]) for index in batch.sample_indices]
            states.put(number, batch.sample_indices, counts, states_at_places(reader, batch, places).cpu())
            bar.advance(len(batch.sample_indices))
