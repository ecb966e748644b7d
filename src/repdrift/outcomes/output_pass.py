"""Reads what two models put out over the same texts, and reduces it to a number for each text, chunk of tokens by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from repdrift.batches.batching import BatchPlan
from repdrift.batches.final_states import FinalStates
from repdrift.core.errors import NonFiniteError, OutcomeNotApplicable
from repdrift.core.process_group import device, world
from repdrift.core.progress import Bar
from repdrift.core.words import counted
from repdrift.models import ModelSource, running_errors
from repdrift.models.language_model import TunedReader, load_tuned_reader
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.base_outputs import BaseOutputs, run_base, states_at_places
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome, token_outcome, token_outcomes
from repdrift.outcomes.vocabularies import Columns, compared_columns
from repdrift.tasks import SampleSet

_LOGITS_BYTES, _LOGITS_BYTES_ON_DEVICE = 64 << 20, 1 << 30
_COPIES = 8
"""Arrays of (tokens, vocabulary) in float32 that are in memory at once: logits, log-probabilities, what is computed from them."""


@dataclass(frozen=True)
class ItemValues:
    """One outcome of every sample, in nats or shares.

    value: (n,) float64, the tuned model's mean over the sample's tokens. base_value: (n,) float64, the base model's own; NaN
    throughout for outcomes that are about both models (KL, Jensen-Shannon, top-1 agreement). Both are NaN for a sample without a token
    that could be predicted, whose weight is 0.
    """

    value: np.ndarray
    base_value: np.ndarray


@dataclass(frozen=True)
class OutputItems:
    """Token outcomes of one tuned model over a sample set.

    items: by the outcome's name. weights: (n,) float64, the tokens that each sample's value is the mean of. notes: whole sentences that
    change how the numbers are read (whose head was used, texts without a token to predict).
    """

    items: dict[str, ItemValues]
    weights: np.ndarray
    notes: list[str]


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
        reduction = _Reduction(ran, tuned, head, columns, chosen, options)
        _run(reader, reduction, ran.plan, options)
    items = reduction.gathered()
    return OutputItems(items, ran.places.counts, [*reader.notes, *_notes(columns, ran)])


class _Reduction:
    """Sums of token outcomes by sample, filled batch by batch."""

    def __init__(
        self,
        base: BaseOutputs,
        tuned: ModelSource,
        head: OutputHead,
        columns: Columns,
        outcomes: Sequence[TokenOutcome],
        options: OutputOptions,
    ) -> None:
        self.base, self.tuned, self.head, self.outcomes = base, tuned, head.to(device()), outcomes
        self._kept = None if columns.kept is None else torch.from_numpy(columns.kept).to(device())
        usual = _LOGITS_BYTES if device().type == "cpu" else _LOGITS_BYTES_ON_DEVICE
        rows = max(base.head.rows, head.rows)
        self._tokens = max(1, (options.logits_bytes or usual) // (4 * rows * _COPIES))
        n = len(base.samples)
        self._sums = {outcome.name: np.zeros((2, n)) for outcome in outcomes}

    def add(self, number: int, states: Tensor) -> None:
        """Adds the tokens of one batch. states: (m, d), the tuned model's at the places of the batch's samples, in their order."""
        samples = self.base.plan.sample_indices[number]
        places = self.base.places
        base_states = self.base.states.get(number)
        targets = torch.from_numpy(np.concatenate([places.targets[index] for index in samples]))
        owners = np.repeat(samples, [len(places.places[index]) for index in samples])
        for start in range(0, len(owners), self._tokens):
            part = slice(start, start + self._tokens)
            self._add_chunk(base_states[part].to(device()), states[part], targets[part].to(device()), owners[part])

    def _add_chunk(self, base_states: Tensor, states: Tensor, targets: Tensor, owners: np.ndarray) -> None:
        with torch.inference_mode():
            base = self._log_probabilities(
                self.base.head, base_states, owners, f"the base model {self.base.source.ref!r}"
            )
            tuned = self._log_probabilities(self.head, states, owners, f"the tuned model {self.tuned.ref!r}")
            columns = targets if self._kept is None else torch.searchsorted(self._kept, targets)
            chunk = TokenChunk(base, tuned, columns)
            for outcome in self.outcomes:
                values = outcome.reduce(chunk)
                for row, found in enumerate((values.tuned, values.base)):
                    if found is not None:
                        np.add.at(self._sums[outcome.name][row], owners, found.double().cpu().numpy())

    def _log_probabilities(self, head: OutputHead, states: Tensor, owners: np.ndarray, model: str) -> Tensor:
        logits = head.logits(states).float()
        if self._kept is not None:
            logits = logits[:, self._kept]
        finite = torch.isfinite(logits).all(dim=1)
        if not bool(finite.all()):
            index = int(owners[int((~finite).nonzero()[0])])
            raise NonFiniteError(
                f"{model} puts out numbers that are not finite for {self.base.samples.described(index)}. Look at its weights: was training "
                "unstable? A run in float16 overflows where float32 or bfloat16 does not (--compute-dtype)."
            )
        return torch.log_softmax(logits, dim=1)

    def gathered(self) -> dict[str, ItemValues]:
        """Means by sample over the batches of all processes, in every process."""
        processes = world()
        parts = processes.gather(self._sums)
        sums = None if parts is None else {name: sum(part[name] for part in parts) for name in self._sums}
        sums = processes.from_first(sums)
        assert sums is not None  # noqa: S101  the first process has them
        counts = self.base.places.counts
        found: dict[str, ItemValues] = {}
        for outcome in self.outcomes:
            with np.errstate(invalid="ignore"):
                value, own = np.asarray(sums[outcome.name]) / np.where(counts > 0, counts, np.nan)
            found[outcome.name] = ItemValues(value, own if outcome.own_base else np.full(len(value), np.nan))
        return found


def _run(reader: TunedReader, reduction: _Reduction, plan: BatchPlan, options: OutputOptions) -> None:
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
            reduction.add(number, states_at_places(states, batch, places))
            bar.advance(len(batch.sample_indices))


def _samples(plan: BatchPlan, numbers: Sequence[int]) -> int:
    return sum(len(plan.sample_indices[number]) for number in numbers)


def _notes(columns: Columns, base: BaseOutputs) -> list[str]:
    notes = [columns.note] if columns.note is not None else []
    if without := int((base.places.counts == 0).sum()):
        notes.append(
            f"{counted(without, 'text')} of {len(base.samples)} {'has' if without == 1 else 'have'} no token that could be predicted, and so no value."
        )
    if base.head.kind == "masked":
        notes.append(
            "Read at 15 % of the tokens of each text, chosen by a hash of the text and masked; equal for both models."
        )
    return notes
