"""Outputs read while other work runs the models: the hidden states that pass by are reduced, and no model is run once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from repdrift.batches.batching import Batch, BatchPlan
from repdrift.core.errors import OutcomeNotApplicable, RepdriftError
from repdrift.core.process_group import device
from repdrift.models import ModelSource, load_tokenizer, running_errors
from repdrift.models.language_model import load_language_model
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.base_outputs import BaseOutputs, rows_at_places
from repdrift.outcomes.base_states import StatesInMemory
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.output_pass import OutputItems, reading_notes
from repdrift.outcomes.read_places import read_places
from repdrift.outcomes.reduction import Reduction
from repdrift.outcomes.token_outcome import token_outcome, token_outcomes
from repdrift.outcomes.vocabularies import compared_columns
from repdrift.tasks import SampleSet

OnFinal = Callable[[Batch, Tensor], None]


class WatchedBase:
    """The head of a base model, and its final hidden states over samples, as another pass of one process produces them.

    Loads the language model once, of which the head alone is kept. Only causal models can be watched: a masked one reads other inputs than
    an extraction does.
    Raises OutcomeNotApplicable if it has no language-modelling head, is a masked one, or no text has a token to predict; ModelError if
    it cannot be loaded.
    """

    def __init__(self, base: ModelSource, samples: SampleSet, options: OutputOptions) -> None:
        head = load_language_model(base, dtype=options.compute_dtype).head.to(device())
        if head.kind != "causal":
            raise OutcomeNotApplicable("a masked model is asked about other inputs than those that are extracted")
        tokenizer = samples.tokenizer if samples.tokenizer is not None else load_tokenizer(base)
        places = read_places(samples, head.kind, tokenizer)
        self._states = StatesInMemory()
        self.options = options
        # The plan is used only where a model is run by itself beside these states; any will do, since states lie by sample.
        plan = BatchPlan(samples, token_budget=max(1, *samples.lengths))
        self.outputs = BaseOutputs(base, samples, head, places, plan, self._states)

    def keep(self, batch: Batch, hidden: Tensor) -> None:
        """Keeps the states of one batch. hidden: (b, t, d), the base model's last hidden state."""
        counts = [len(self.outputs.places.places[index]) for index in batch.sample_indices]
        rows = rows_at_places(batch, hidden, self.outputs.places)
        self._states.put(batch.number, batch.sample_indices, counts, rows.cpu())


class WatchedTuned:
    """Outputs of a tuned model, reduced batch by batch while another pass runs it. A fault of its outputs does not stop that pass.

    head: its own; None: the base model's reads it. notes: sentences on whose head it is.
    """

    def __init__(self, base: WatchedBase, tuned: ModelSource, head: OutputHead | None, notes: Sequence[str]) -> None:
        self._base, self._tuned = base, tuned
        self._head = base.outputs.head if head is None else head
        self._notes = list(notes)
        self._failed: RepdriftError | None = None
        self._reduction: Reduction | None = None

    def keep(self, batch: Batch, hidden: Tensor) -> None:
        """Reduces the outputs of one batch. hidden: (b, t, d), the tuned model's last hidden state."""
        if self._failed is not None:
            return
        ran = self._base.outputs
        try:
            with running_errors("its outputs cannot be read"):
                if self._reduction is None:
                    self._columns = compared_columns(
                        ran.source,
                        self._tuned,
                        ran.samples,
                        ran.head.rows,
                        self._head.rows,
                        common_tokens=self._base.options.common_tokens,
                    )
                    outcomes = [token_outcome(name) for name in token_outcomes()]
                    self._reduction = Reduction(
                        ran, self._tuned, self._head, self._columns, outcomes, self._base.options
                    )
                states = ran.states.get(batch.number, batch.sample_indices)
                self._reduction.add(batch.sample_indices, states, rows_at_places(batch, hidden, ran.places))
        except RepdriftError as error:
            self._failed = error

    def items(self) -> OutputItems:
        """Values of every sample, after all batches have passed. Raises what was wrong with the outputs, as `read_outputs` does."""
        if self._failed is not None:
            raise self._failed
        assert self._reduction is not None  # noqa: S101  a pass has at least one batch
        ran = self._base.outputs
        notes = [*self._notes, *reading_notes(self._columns, ran)]
        return OutputItems(self._reduction.gathered(), ran.places.counts, notes, self._reduction.by_token())
