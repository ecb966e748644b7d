"""Outputs read while an extraction runs the models: the base model's states are kept on disk, the tuned models' are reduced at once.

A fault of the outputs stops no extraction: then nothing is kept, and the pass over outputs that follows runs the model and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from repdrift.batches.batching import Batch, BatchPlan
from repdrift.core.errors import OutcomeNotApplicable, RepdriftError
from repdrift.core.process_group import world
from repdrift.core.records.outcomes import ON_TASK
from repdrift.models import ModelSource, running_errors
from repdrift.models.language_model import TunedHead, head_kind, load_tuned_head
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.base_outputs import BaseOutputs, rows_at_places, run_base
from repdrift.outcomes.base_states import StatesOnDisk, states_key
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.output_pass import reading_notes
from repdrift.outcomes.passed_sums import PassedSums, passed_key
from repdrift.outcomes.read_places import ReadPlaces, read_places
from repdrift.outcomes.reduction import Reduction
from repdrift.outcomes.token_outcome import token_outcome
from repdrift.outcomes.token_strips import strips_of
from repdrift.outcomes.vocabularies import Columns, compared_columns
from repdrift.tasks import SampleSet

_FAULT = "its outputs cannot be read"


class BaseInPassing:
    """Keeps a causal base model's last hidden states over samples, from the pass that extracts them (a `StateWatcher`).

    root: the folder of all base models' states. load_head: gives the base model's head on the device in use; it is called when a tuned model
    is to be read.
    """

    def __init__(
        self,
        base: ModelSource,
        samples: SampleSet,
        options: OutputOptions,
        root: Path,
        load_head: Callable[[], OutputHead],
    ) -> None:
        self.base, self.samples, self.options = base, samples, options
        self._root, self._load_head = root, load_head
        self._places: ReadPlaces | None = None
        self._states: StatesOnDisk | None = None
        self._plan: BatchPlan | None = None
        self._rows = _RowsOfBatch()
        self._failed = False
        self.extracted_in: int | None = None
        """The token budget of a set that was extracted before, in whose batches the tuned models are run; None: it is extracted now."""

    def prepare(self) -> None:
        """Looks whether states are there already, and finds the places where predictions are read. No model is loaded."""
        try:
            if head_kind(self.base) != "causal":
                raise OutcomeNotApplicable("a masked model is asked about other inputs than those that are extracted")
            self._places = read_places(self.samples, "causal", None)
        except RepdriftError:
            self._failed = True

    def begin(self, plan: BatchPlan) -> None:
        """Names the batches, unless finished states are there."""
        states = self._on_disk()
        is_there = world().from_first(states.find() is not None if world().is_first else None)
        if not (self._failed or is_there):
            with suppress(RepdriftError):
                states.begin(plan.settings)
                self._states, self._plan = states, plan
        world().barrier()  # no file is written before the first process has removed others

    def keep(self, batch: Batch, hidden: Tensor) -> None:
        """Takes the last hidden state (b, t, d) of a batch or of a part of one."""
        if self._states is not None and self._places is not None:
            self._rows.keep(batch, hidden, self._places)

    def batch_done(self, number: int) -> None:
        """Writes the states of a batch."""
        if self._states is None or self._plan is None or self._places is None:
            return
        samples = self._plan.sample_indices[number]
        counts = [len(self._places.places[index]) for index in samples]
        try:
            self._states.put(number, samples, counts, self._rows.taken(samples).cpu())
        except RepdriftError:
            self._states = None

    def finish(self) -> None:
        """Writes the record, if every process has kept its batches."""
        states, plan, places = self._states, self._plan, self._places
        kept = world().gather(states is not None)
        if world().is_first and kept is not None and all(kept) and states and plan and places:
            with suppress(RepdriftError):
                if states.all_there(range(len(plan))):
                    states.finish(plan.settings, range(len(plan)), int(places.counts.sum()))
        self._states = None
        world().barrier()

    def ran(self) -> BaseOutputs | None:
        """The base model with its head and its states on the disk; None if they are not there and the model does not pass by.

        Where its set was extracted before, it is run now, once for all tuned models. Raises what `run_base` raises.
        """
        if self._places is None:
            self.prepare()
        if self._places is None:
            return None
        states = self._on_disk()
        found = world().from_first(states.find() if world().is_first else None)
        if found is None and self.extracted_in is not None:
            in_its_batches = self.options.model_copy(update={"token_budget": self.extracted_in})
            return run_base(self.base, self.samples, in_its_batches, self._root)
        if found is None:
            return None
        states.take(found)
        plan = BatchPlan(self._places.inputs, **found.plan)  # pyright: ignore[reportArgumentType]
        return BaseOutputs(self.base, self.samples, self._load_head(), self._places, plan, states)

    def _on_disk(self) -> StatesOnDisk:
        return StatesOnDisk(self._root, states_key(self.base, self.samples, "causal", self.options.compute_dtype))


class TunedInPassing:
    """Reduces a tuned model's outputs batch by batch, from the pass that extracts it (a `StateWatcher`).

    outcomes: names of token outcomes. trained_as: what the model was trained for. folder: that of the sums. keeps_texts: whether texts may be kept, token by token. Nothing is kept unless the base
    model's states are there, in the batches in which the tuned model is run.
    """

    def __init__(
        self,
        base: BaseInPassing,
        tuned: ModelSource,
        trained_as: str | None,
        outcomes: Sequence[str],
        folder: Path,
        *,
        keeps_texts: bool = True,
    ) -> None:
        self._base, self._tuned, self._trained_as = base, tuned, trained_as
        self._outcomes, self._folder, self._keeps_texts = list(outcomes), folder, keeps_texts
        self._ran: BaseOutputs | None = None
        self._head: TunedHead | None = None
        self._columns: Columns | None = None
        self._reduction: Reduction | None = None
        self._sums: PassedSums | None = None
        self._rows = _RowsOfBatch()

    def prepare(self) -> None:
        """Loads both heads."""
        try:
            self._ran = self._base.ran()
            if self._ran is not None:
                self._head = load_tuned_head(
                    self._base.base, self._tuned, trained_as=self._trained_as, dtype=self._base.options.compute_dtype
                )
        except RepdriftError:
            self._ran = None

    def begin(self, plan: BatchPlan) -> None:
        """Names the batches, if they are those of the base model's states."""
        if self._ran is not None and self._head is not None and self._ran.plan.settings == plan.settings:
            with suppress(RepdriftError):
                self._begin(self._ran, self._head, plan)
        world().barrier()  # no file is written before the first process has removed others

    def _begin(self, ran: BaseOutputs, own: TunedHead, plan: BatchPlan) -> None:
        options = self._base.options
        key = passed_key(
            self._base.base,
            self._tuned,
            self._base.samples,
            trained_as=self._trained_as,
            outcomes=self._outcomes,
            options=options,
        )
        head = ran.head if own.head is None else own.head
        self._columns = compared_columns(
            ran.source, self._tuned, ran.places.inputs, ran.head.rows, head.rows, common_tokens=options.common_tokens
        )
        outcomes = [token_outcome(name) for name in self._outcomes]
        self._reduction = Reduction(ran, self._tuned, head, self._columns, outcomes, options)
        sums = PassedSums(self._folder, key, self._outcomes)
        sums.begin(plan)
        self._sums = sums

    def keep(self, batch: Batch, hidden: Tensor) -> None:
        """Takes the last hidden state (b, t, d) of a batch or of a part of one."""
        if self._sums is not None and self._ran is not None:
            self._rows.keep(batch, hidden, self._ran.places)

    def batch_done(self, number: int) -> None:
        """Reduces a batch and writes its sums."""
        if self._sums is None or self._ran is None or self._reduction is None:
            return
        samples = self._ran.plan.sample_indices[number]
        try:
            with running_errors(_FAULT):
                base = self._ran.states.get(number, samples)
                self._reduction.add(samples, base, self._rows.taken(samples))
            self._sums.put(number, self._reduction.sums_of(samples))
        except RepdriftError:
            self._sums = None

    def finish(self) -> None:
        """Writes the record, if every process has kept its batches."""
        sums, ran = self._sums, self._ran
        kept = world().gather(sums is not None)
        is_whole = world().from_first(kept is not None and all(kept))
        by_token = self._reduction.by_token() if is_whole and self._keeps_texts and self._reduction else {}
        if world().is_first and is_whole and sums and ran and self._head and self._columns:
            with suppress(RepdriftError):
                # A pass that goes on after a stop has values of its own batches alone, and then no texts.
                strips = strips_of(by_token, ran, ON_TASK) if self._keeps_texts else None
                sums.finish(ran.plan, [*self._head.notes, *reading_notes(self._columns, ran)], strips)
        self._sums = self._reduction = self._head = self._ran = None
        world().barrier()


class _RowsOfBatch:
    """Hidden states of one batch at the places where predictions are read, by sample: a batch may come in parts, and come again."""

    def __init__(self) -> None:
        self._of: dict[int, Tensor] = {}

    def keep(self, batch: Batch, hidden: Tensor, places: ReadPlaces) -> None:
        counts = [len(places.places[index]) for index in batch.sample_indices]
        self._of |= dict(zip(batch.sample_indices, rows_at_places(batch, hidden, places).split(counts), strict=True))

    def taken(self, samples: Sequence[int]) -> Tensor:
        rows = torch.cat([self._of[index] for index in samples])
        self._of = {}
        return rows
