"""Rows of models that read the texts with tokenizers of their own, one a text or one a word, and the base model's rows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from repdrift.comparison.base_model import BaseModel, extractor_for
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.own_tokens import CommonWords, OwnReading, common_samples, common_words
from repdrift.comparison.row_measures import Rows
from repdrift.comparison.sections import KeptRows, UnpairedRows
from repdrift.comparison.site_rows import PlacedRows, placed_rows
from repdrift.comparison.tuned_models import RunningModel
from repdrift.comparison.unpaired import layers_there
from repdrift.core.errors import ModelError
from repdrift.core.process_group import world
from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.core.words import counted
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.row_index import RowIndex
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models import running_errors
from repdrift.tasks import SampleSet


@dataclass
class OwnRows:
    """Reads models with tokenizers of their own while they are in memory, and the base model's words when they are not."""

    base: BaseModel
    samples: SampleSet
    _texts: dict[str, tuple[Rows, list[tuple[int, int]], tuple[str, ...]]] = field(default_factory=dict)
    _words: dict[str, tuple[Rows, CommonWords]] = field(default_factory=dict)

    def read(self, running: RunningModel, reading: OwnReading) -> None:
        """Run one model over its own samples. Raises ModelError under several processes, and what running raises."""
        if world().size > 1:
            raise ModelError("a model with a tokenizer of its own is read by one process: run compare without torchrun")
        reading_samples = reading.samples
        if reading.by == "text":
            if reading.pooling == "tokens":
                raise ModelError(
                    "with --pooling tokens a row is a token, which two tokenizers do not share: take --own-tokenizer word"
                )
            extractor = _extractor(running.backbone, self._options(pooling=reading.pooling))
            found = placed_rows(extractor, reading_samples, what=running.tuned.name)
            if found is not None:
                pairs = common_samples(self.samples, reading_samples)
                self._texts[running.tuned.name] = found.stream, pairs, self._notes(reading, pairs, extractor.sinks)
            return
        own = self._sinks(running.backbone, reading)
        ours = (
            self.base.sinks.record(self.samples).positions
            if self.base.sinks is not None
            else [[] for _ in self.samples.sample_ids]
        )
        words = common_words(self.samples, reading, (ours, own), seed=self.base.options.seed)
        extractor = _extractor(running.backbone, self._options(pooling="tokens"))
        rows = word_rows(extractor, reading_samples, words.tuned, what=running.tuned.name)
        self._words[running.tuned.name] = rows, words

    def keep(self, kept: KeptRows | None, base_rows: PlacedRows | None) -> None:
        """Hand over the rows of all models that were read, each with the base model's for the same texts or words. Runs the base model for words."""
        if kept is None or base_rows is None:
            return
        for name, (rows, pairs, notes) in self._texts.items():
            ours, theirs = torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs])
            groups = self.samples.groups
            kept.unpaired[name] = UnpairedRows(
                {layer: values[ours] for layer, values in base_rows.stream.items()},
                {layer: values[theirs] for layer, values in rows.items()},
                "text",
                None if groups is None else [groups[a] for a, _ in pairs],
                notes,
            )
        for name, (rows, words) in self._words.items():
            with running_errors("the base model cannot be run for the words"), self.base.without_adapters() as model:
                extractor = _extractor(model, self._options(pooling="tokens"))
                ours = word_rows(extractor, self.samples, words.base, what=f"base model, words of {name}")
            groups = self.samples.groups or self.samples.sample_ids
            kept.unpaired[name] = UnpairedRows(ours, rows, "word", [groups[a] for a in words.texts], words.notes)

    def _options(self, **changes: object) -> ComparisonOptions:
        return self.base.options.model_copy(update={"sites": (), **changes})

    def _sinks(self, model: nn.Module, reading: OwnReading) -> Sequence[Sequence[int]]:
        """The attention sinks of a model's own tokens, found on the model itself; none where its pooling leaves none out."""
        if reading.pooling != SINK_POOLING:
            return [[] for _ in reading.samples.sample_ids]
        extractor = _extractor(model, self._options(pooling=SINK_POOLING, layers=(0,)))
        for _ in extractor.batches(extractor.plan(reading.samples), what="looking for attention sinks"):
            pass
        mask = extractor.sinks
        return mask.record(reading.samples).positions if mask is not None else []

    def _notes(self, reading: OwnReading, pairs: Sequence[tuple[int, int]], sinks: SinkMask | None) -> tuple[str, ...]:
        theirs = reading.samples
        notes = [
            f"A row is a text, pooled by {self.base.options.pooling} for the base model and {reading.pooling} for this one, each over its own tokens."
        ]
        if sinks is not None:
            found = sinks.record(theirs)
            notes.append(
                f"{found.sinks} of its {found.tokens} tokens are attention sinks by its own norms, and are in no mean."
            )
        if len(pairs) < len(self.samples):
            notes.append(
                f"{counted(len(self.samples) - len(pairs), 'text')} that it cannot read at its length were left out."
            )
        if theirs.truncated_samples or self.samples.truncated_samples:
            notes.append(
                f"Texts were cut for each model by itself: {theirs.truncated_samples} for this one, {self.samples.truncated_samples} for the base model."
            )
        return tuple(notes)


def word_rows(
    extractor: RepresentationExtractor, samples: SampleSet, words: Sequence[tuple[int, tuple[int, ...]]], *, what: str
) -> Rows:
    """Rows of words by layer, (w, d): the mean over each word's tokens. No row of a token outlives its batch.

    extractor: of pooling `tokens`. words: for each the number of its sample, and its tokens there.
    """
    index = RowIndex(samples, "tokens")
    starts = {number: int(index.rows_of([number])[0]) for number in {sample for sample, _ in words}}
    tokens = torch.tensor([starts[sample] + at for sample, over in words for at in over])
    owners = torch.tensor([word for word, (_, over) in enumerate(words) for _ in over])
    shares = torch.tensor([1 / len(over) for _, over in words for _ in over])
    found: dict[int, Tensor] = {}
    for batch in extractor.batches(extractor.plan(samples), what=what):
        places = torch.full((index.n_rows,), -1)
        places[batch.rows] = torch.arange(len(batch.rows))
        here = places[tokens] >= 0
        for layer, values in batch.layers.items():
            rows = found.setdefault(layer, torch.zeros((len(words), values.shape[1])))
            rows.index_add_(0, owners[here], values[places[tokens[here]]].float() * shares[here, None])
    return found


def _extractor(model: nn.Module, options: ComparisonOptions) -> RepresentationExtractor:
    extractor = extractor_for(model, layers_there(options, model))
    if options.pooling == SINK_POOLING:
        extractor.sinks = SinkMask()
    return extractor
