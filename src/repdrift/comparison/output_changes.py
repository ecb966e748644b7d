"""Changes of outputs by tuning: forgetting and divergence of language models, classes that classifiers change, beside the drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from repdrift.comparison.class_changes import ClassChanges
from repdrift.comparison.control_samples import drawn_samples
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.comparison.tuned_models import RunningModel
from repdrift.core.confidence import Interval
from repdrift.core.errors import ModelError, OutcomeNotApplicable, RepdriftError
from repdrift.core.output_words import forgetting_title
from repdrift.core.process_group import world
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, Inputs, ShadedTokens
from repdrift.core.records.output_changes import ModelOutputs, OutputChange
from repdrift.core.words import counted
from repdrift.models import ASSUMED_WIDTH, ModelSource, length_limit_of_config, load_config, load_tokenizer, width_of
from repdrift.models.language_model import BASE_READS, base_head_note, head_kind
from repdrift.outcomes.base_outputs import BaseOutputs, run_base
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.output_pass import OutputItems, read_outputs
from repdrift.outcomes.token_outcome import token_outcome
from repdrift.outcomes.token_strips import token_strips
from repdrift.outcomes.watched_outputs import OnFinal, WatchedBase, WatchedTuned
from repdrift.statistics import GroupedMean, grouped_mean, within_share, without_spread
from repdrift.tasks import SampleSet, document_samples, effective_max_length, read_documents

_STATES_BYTES = 1 << 30
"""For the base model's final hidden states over all texts of one kind."""


class OutputChanges:
    """Measures outputs of tuned models beside those of one base model. The base model is run once over each kind of text.

    Whatever cannot be measured is left out with its reason, and the rest is measured.
    """

    def __init__(self, base: ModelSource, samples: SampleSet, options: ComparisonOptions) -> None:
        self._base, self._options = base, options
        self._settings = OutputOptions(
            compute_dtype=options.compute_dtype,
            common_tokens=options.common_tokens,
            token_budget=options.token_budget,
            memory_cap_bytes=options.memory_cap_bytes,
        )
        chosen = _within_memory(base, samples)
        self._texts: dict[Inputs, SampleSet] = {ON_TASK: chosen}
        self.notes: list[str] = []
        if len(chosen) < len(samples):
            self.notes.append(
                f"Outputs: on {len(chosen)} of the {len(samples)} samples, drawn at random, so that the base model's hidden states fit into memory."
            )
        if options.general_text is not None:
            general = _general_text(base, options.general_text, options)
            self._texts[ON_GENERAL_TEXT] = general
            self.notes += [f"General text: {counted(len(general), 'document')} from {general.source}.", *general.notes]
        self._ran: dict[Inputs, BaseOutputs | str] = {}
        self._classes = ClassChanges(base, samples, options)
        self._watched: WatchedBase | None = None
        self._passed: dict[str, WatchedTuned] = {}
        self._all_are_read = chosen is samples

    def read_in_passing(self, make_room: Callable[[], None]) -> None:
        """Reads outputs in the passes that measure drift, where one process runs them over all texts and the head is causal.

        Loads the base model once, of which the head stays in memory; make_room is called before. Not called, outputs have passes of their
        own.
        """
        if world().size == 1 and self._all_are_read and self._options.stack != "decoder":
            self._watched = self._watchable(make_room)

    def base_watcher(self) -> OnFinal | None:
        """Takes the base model's last hidden state, batch by batch, from the pass that measures drift; None if outputs need a pass of their own."""
        return None if self._watched is None else self._watched.keep

    def tuned_watcher(self, running: RunningModel) -> OnFinal | None:
        """Takes a tuned model's last hidden state, batch by batch; None if its outputs need a pass of their own. Call it after the base model ran."""
        if self._watched is None:
            return None
        source = running.tuned.source
        if running.reader is not None:
            watched = WatchedTuned(self._watched, source, running.reader.head, running.reader.notes)
        elif (note := base_head_note(self._base, source)) is not None:
            watched = WatchedTuned(self._watched, source, None, [note])
        else:
            return None
        self._passed[running.tuned.name] = watched
        return watched.keep

    def _watchable(self, make_room: Callable[[], None]) -> WatchedBase | None:
        """The base model's head, to be read in the passes that measure drift; None if it has none or must be asked in a pass of its own."""
        try:
            if head_kind(self._base) != "causal":
                return None
            make_room()
            return WatchedBase(self._base, self._texts[ON_TASK], self._settings)
        except OutcomeNotApplicable as error:
            self._ran = dict.fromkeys(self._texts, str(error))
        except ModelError:  # the pass that measures drift says what is wrong with the files
            pass
        return None

    def of(self, tuned: TunedModel) -> ModelOutputs:
        """Outputs of one tuned model."""
        changes: list[OutputChange] = []
        strips: list[ShadedTokens] = []
        notes: dict[str, None] = {}
        left_out: dict[str, None] = {}
        for inputs, samples in self._texts.items():
            try:
                passed = self._passed.get(tuned.name) if inputs == ON_TASK else None
                if passed is not None:
                    read = passed.items()
                else:
                    read = read_outputs(self._base_over(inputs), tuned.source, samples, options=self._settings)
            except RepdriftError as error:
                left_out[_left_out("Forgetting and output divergence", error)] = None
                continue
            changes += changes_of(read, samples, inputs)
            if self._options.sample_texts:
                strips += token_strips(read, self._base_over(inputs), inputs)
            notes |= dict.fromkeys(read.notes)
        try:
            classes = self._classes.of(tuned)
        except RepdriftError as error:
            if not (changes and isinstance(error, OutcomeNotApplicable)):  # a language model is not asked for classes
                left_out[_left_out("Classes that change", error)] = None
            return ModelOutputs(
                changes=changes,
                left_out=list(left_out),
                notes=list(notes),
                strips=strips,
                by_base_head=_by_base_head(notes),
            )
        changes.append(classes.disagreement)
        return ModelOutputs(
            changes=changes,
            flips=classes.flips,
            left_out=list(left_out),
            notes=list(notes),
            strips=strips,
            by_base_head=_by_base_head(notes),
        )

    def _base_over(self, inputs: Inputs) -> BaseOutputs:
        """The base model, run over texts of one kind. Raises OutcomeNotApplicable, also if that was found before."""
        if inputs == ON_TASK and self._watched is not None:
            return self._watched.outputs
        if inputs not in self._ran:
            try:
                self._ran[inputs] = run_base(self._base, self._texts[inputs], self._settings)
            except OutcomeNotApplicable as error:
                self._ran[inputs] = str(error)
        found = self._ran[inputs]
        if isinstance(found, str):
            raise OutcomeNotApplicable(found)
        return found


def _by_base_head(notes: Iterable[str]) -> bool:
    return any(note.startswith(BASE_READS) for note in notes)


def changes_of(read: OutputItems, samples: SampleSet, inputs: Inputs) -> list[OutputChange]:
    """Means over texts, with intervals over texts or their groups. Texts without a token to predict take no part."""
    kept = np.flatnonzero(read.weights > 0)
    weights = read.weights[kept]
    groups = None if samples.groups is None else [samples.groups[index] for index in kept]
    found: list[OutputChange] = []
    for name, items in read.items.items():
        outcome = token_outcome(name)
        value, base = items.value[kept], items.base_value[kept]
        found_mean, missing = _mean(value - base if outcome.own_base else value, groups, weights, name)
        interval = found_mean.interval
        mean = float(np.average(value, weights=weights))
        own = float(np.average(base, weights=weights)) if outcome.own_base else None
        found.append(
            OutputChange(
                outcome=name,
                title=forgetting_title(inputs) if outcome.own_base else outcome.title,
                unit=outcome.unit,
                inputs=inputs,
                value=mean,
                base_value=own,
                difference=float(np.average(value - base, weights=weights)) if outcome.own_base else None,
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
                freedom=found_mean.freedom,
                n=len(kept),
                n_groups=found_mean.n_groups,
                tokens=int(weights.sum()),
                note=missing,
            )
        )
    return found


def _mean(values: np.ndarray, groups: Sequence[str] | None, weights: np.ndarray, name: str) -> tuple[GroupedMean, str]:
    """The weighted mean with its interval, and the reason if it has none.

    A share that is 1 where nothing changed is taken as its complement, so that texts in which nothing changed count as such.
    """
    is_share = name == "top1_agreement"
    found = grouped_mean(1 - values if is_share else values, groups, weights=weights)
    if alike := without_spread(values, groups, of_differences=not is_share):
        return replace(found, interval=None, freedom=None), found.missing or alike
    if found.interval is None or not is_share:
        return found, found.missing
    low, high = within_share(found.interval)
    return replace(found, interval=Interval(1 - high, 1 - low)), ""


def _within_memory(base: ModelSource, samples: SampleSet) -> SampleSet:
    """The samples, or as many of them, drawn at random, as have final hidden states that fit into `_STATES_BYTES`."""
    width = width_of(load_config(base)) or ASSUMED_WIDTH
    share = _STATES_BYTES / (4 * width * sum(samples.lengths))
    return samples if share >= 1 else drawn_samples(samples, max(1, int(share * len(samples))), default=0).samples


def _general_text(base: ModelSource, source: str, options: ComparisonOptions) -> SampleSet:
    documents = read_documents(source)
    tokenizer = load_tokenizer(base)
    limit = length_limit_of_config(load_config(base), options.stack)
    return document_samples(documents, tokenizer, max_length=effective_max_length(tokenizer, limit, None), limit=limit)


def _left_out(what: str, error: RepdriftError) -> str:
    why = str(error).rstrip(".")
    return f"{what} {'do not apply' if isinstance(error, OutcomeNotApplicable) else 'could not be measured'}: {why}."
