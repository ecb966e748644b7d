"""Reads what two models put out over the same texts, and reduces it to a number for each text, chunk of tokens by chunk."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import nn

from repdrift.batches.batching import BatchPlan
from repdrift.batches.final_states import FinalStates
from repdrift.core.errors import OutcomeNotApplicable
from repdrift.core.process_group import device, world
from repdrift.core.progress import Bar
from repdrift.core.records.outcomes import ShadedTokens
from repdrift.models import ModelSource, running_errors
from repdrift.models.language_model import TunedReader, load_tuned_reader
from repdrift.outcomes.base_outputs import BaseOutputs, run_base, states_at_places
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.reduction import ItemValues, Reduction
from repdrift.outcomes.token_outcome import token_outcome, token_outcomes
from repdrift.outcomes.vocabularies import Columns, compared_columns
from repdrift.tasks import SampleSet
from repdrift.tasks.general_text import GENERAL_TEXT


@dataclass(frozen=True)
class OutputItems:
    """Token outcomes of one tuned model over a sample set.

    items: by the outcome's name. weights: (n,) float64, the tokens that each sample's value is the mean of. notes: whole sentences that
    change how the numbers are read (whose head was used, texts without a token to predict).
    """

    items: dict[str, ItemValues]
    weights: np.ndarray
    notes: list[str]
    tokens: Mapping[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])
    """KL(base || tuned) of every token that was predicted, by the number of its sample; empty where it was not kept."""
    strips: list[ShadedTokens] | None = None
    """Texts token by token, where an earlier pass made them already."""


def read_outputs(
    base: ModelSource | BaseOutputs,
    tuned: ModelSource,
    samples: SampleSet,
    *,
    task_kind: str | None = None,
    outcomes: Sequence[str] | None = None,
    options: OutputOptions = OutputOptions(),  # noqa: B008 (frozen)
    base_states: Path | None = None,
) -> OutputItems:
    """Runs both models over `samples` and reduces what their language-modelling heads predict to one number a sample and outcome.

    base, tuned: any two sources, also the same one; base may have been run before (see `run_base`). task_kind: what the tuned model was
    trained for, where it is known; with `causal_lm` it has a head of its own.
    outcomes: names of token outcomes; None means all. base_states: a folder that keeps the base model's final hidden
    states for the next run over the same samples; None: they are held in memory for this run only.
    Memory: one model at a time, both heads, the base model's states, and `options.logits_bytes` for logits. Every process of `torchrun`
    takes its share of the batches and returns the same result.
    Raises OutcomeNotApplicable, with the reason, if the models have no language-modelling head or their vocabularies differ;
    NonFiniteError naming model and sample; ModelError if a model cannot be loaded or run; DataError if a sample is too long for it.
    """
    chosen = [token_outcome(name) for name in (token_outcomes() if outcomes is None else outcomes)]
    ran = run_base(base, samples, options, base_states) if isinstance(base, ModelSource) else base
    if ran.samples.fingerprint != samples.fingerprint:
        raise OutcomeNotApplicable("the base model was run over other samples than these")
    with world().together(f"{tuned.ref}, loaded"):
        reader = load_tuned_reader(ran.source, tuned, trained_as=task_kind, dtype=options.compute_dtype)
        head = ran.head if reader.head is None else reader.head
        columns = compared_columns(
            ran.source, tuned, ran.places.inputs, ran.head.rows, head.rows, common_tokens=options.common_tokens
        )
        reduction = Reduction(ran, tuned, head, columns, chosen, options)
        _run(reader, reduction, ran.plan, options)
    items, by_token = reduction.gathered(), reduction.by_token()
    notes = [*reader.notes, *reading_notes(columns, ran)]
    del reader, reduction, head
    gc.collect()  # models refer to themselves
    return OutputItems(items, ran.places.counts, notes, by_token)


def _run(reader: TunedReader, reduction: Reduction, plan: BatchPlan, options: OutputOptions) -> None:
    nn.Module.to(reader.body, device())
    states = FinalStates(
        reader.body, reader.prompt, token_budget=options.token_budget, memory_cap_bytes=options.memory_cap_bytes
    )
    places = reduction.base.places
    states.require_fit(places.inputs)
    mine = world().share(len(plan))
    what = f"outputs of {reduction.tuned.ref}"
    with running_errors(f"{reduction.tuned.ref!r} cannot be run"), Bar(what, _samples(plan, mine)) as bar:
        for number in mine:
            batch = plan[number]
            base = reduction.base.states.get(number, batch.sample_indices)
            reduction.add(batch.sample_indices, base, states_at_places(states, batch, places))
            bar.advance(len(batch.sample_indices))


def _samples(plan: BatchPlan, numbers: Sequence[int]) -> int:
    return sum(len(plan.sample_indices[number]) for number in numbers)


def reading_notes(columns: Columns, base: BaseOutputs) -> list[str]:
    """Sentences on which tokens and which texts the values are of."""
    notes = [columns.note] if columns.note is not None else []
    if without := int((base.places.counts == 0).sum()):
        of = "documents of general text" if base.samples.task == GENERAL_TEXT else "texts"
        notes.append(
            f"{without} of {len(base.samples)} {of} {'has' if without == 1 else 'have'} no token that could be predicted, and so no value."
        )
    if base.head.kind == "masked":
        notes.append(
            "Read at 15 % of the tokens of each text, chosen by a hash of the text and masked; equal for both models."
        )
    return notes
