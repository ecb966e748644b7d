"""Compares what a tuned model's tokenizer makes of the samples with what the base model's does; settings may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from repdrift.core.errors import DataError, ModelError, RepdriftError
from repdrift.core.length_limit import LengthLimit
from repdrift.models import ModelSource, load_tokenizer
from repdrift.models.third_party import first_line
from repdrift.tasks import SampleSet, effective_max_length
from repdrift.tasks.encoding import tokenizer_maximum

ReadSamples = Callable[[Any, int], SampleSet]
"""Gives the samples as a tokenizer makes them, cut to a number of tokens."""


@dataclass(frozen=True)
class TokenizerCheck:
    """The findings on a tuned model's tokenizer.

    refused: why its tokens cannot be paired with the base model's; None if they are the same. notes: sentences that change how
    the model's numbers are to be read. maximum: the most tokens that it names (model_max_length); None if it names none. tokenizer: one
    that makes other tokens. is_known: whether its tokenizer is there and could be read.
    """

    refused: str | None = None
    notes: tuple[str, ...] = ()
    maximum: int | None = None
    tokenizer: Any = None
    is_known: bool = True


class SharedSamples:
    """The samples of a comparison, made by the base model's tokenizer; every model is given its tokens.

    read: makes the samples. limit: the base model's. requested: the most tokens that were asked for; None: what base model and
    tokenizers advise, at most 512.
    """

    def __init__(self, base: ModelSource, read: ReadSamples, limit: LengthLimit, requested: int | None) -> None:
        self._read = read
        self._requested = requested
        self._tokenizer: Any = load_tokenizer(base)
        self._max_length = effective_max_length(self._tokenizer, limit, requested)
        self.samples = read(self._tokenizer, self._max_length)

    def check(self, tuned: ModelSource) -> TokenizerCheck:
        """Compares what the tokenizer of `tuned` makes of the samples; a model without one is given the base model's tokens."""
        if not (tuned.gguf_file or tuned.has_tokenizer_files):
            return TokenizerCheck(is_known=False)
        try:
            tokenizer: Any = load_tokenizer(tuned)
        except ModelError as error:
            why = first_line(error.__cause__ or error)
            return TokenizerCheck(
                is_known=False,
                notes=(
                    f"Its own tokenizer cannot be read ({why.rstrip('.')}). It was given the tokens of the base model's tokenizer; "
                    "whether it was tuned with these tokens was not checked.",
                ),
            )
        notes: list[str] = []
        side = self._tokenizer.truncation_side
        if tokenizer.truncation_side != side:
            if self.samples.truncated_samples:
                notes.append(
                    f"Its tokenizer cuts long texts on the {tokenizer.truncation_side} (truncation_side); as the base model's "
                    f"says, they were cut on the {side} for all models."
                )
            tokenizer.truncation_side = side
        try:
            fault = token_fault(self.samples, self._read(tokenizer, self._max_length))
        except RepdriftError as error:
            fault = f"its tokenizer cannot read the samples: {error}"
        if fault is not None:
            return TokenizerCheck(refused=fault, tokenizer=tokenizer)
        maximum, longest = tokenizer_maximum(tokenizer), max(self.samples.lengths)
        if maximum is not None and maximum < longest and self._requested is not None:
            notes.append(
                f"Its tokenizer names {maximum} tokens as the most (model_max_length); the longest sample has {longest}, as was "
                "asked for."
            )
        return TokenizerCheck(notes=tuple(notes), maximum=maximum)

    def own_samples(self, tokenizer: Any, limit: LengthLimit) -> SampleSet:
        """The samples as another tokenizer makes them, cut to what its model takes. Raises DataError if they cannot be made."""
        return self._read(tokenizer, effective_max_length(tokenizer, limit, self._requested))

    def shorten(self, maxima: Mapping[str, int | None]) -> None:
        """Cuts the samples to the smallest of the tuned tokenizers' own maxima, unless a length was asked for.

        maxima: by the tuned model's name. The samples' notes then say which model it was.
        """
        named = {name: maximum for name, maximum in maxima.items() if maximum is not None}
        if self._requested is not None or not named:
            return
        name = min(named, key=named.__getitem__)
        shortest = named[name]
        if shortest >= self._max_length or shortest >= max(self.samples.lengths):
            return
        if shortest <= self._tokenizer.num_special_tokens_to_add(pair=self.samples.token_type_ids is not None):
            return  # no token of the text would be left: the number is a mistake, and the base model's length holds
        try:
            samples = self._read(self._tokenizer, shortest)
        except DataError:  # no text can be cut to so few: the number is a mistake, and the base model's length holds
            return
        note = (
            f"Samples are cut at {shortest} tokens for all models: the tokenizer of {name} names no more (model_max_length); "
            f"the base model takes {self._max_length}. --max-length asks for another length."
        )
        self.samples = replace(samples, notes=(*samples.notes, note))


def token_fault(base: SampleSet, tuned: SampleSet) -> str | None:
    """Compares the samples as two tokenizers made them. Returns the fault in words; None if they are the same."""
    theirs_by_id = dict(zip(tuned.sample_ids, tuned.input_ids, strict=True))
    for index, name in enumerate(base.sample_ids):
        ours, theirs = list(base.input_ids[index]), list(theirs_by_id.get(name, ()))
        if ours == theirs:
            continue
        pairs = enumerate(zip(ours, theirs, strict=False))
        position = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
        return (
            f"it has another tokenizer: {base.described(index)} becomes {len(theirs)} tokens, and {len(ours)} with the base "
            f"model's tokenizer; they differ from token {position} on, {_token(tuned, theirs, position)} here and "
            f"{_token(base, ours, position)} there. The two models do not read the same input, so their representations are not "
            "paired. Compare it with the model it was tuned from, or let it read the texts by itself (--own-tokenizer)."
        )
    if len(tuned) > len(base):
        return "it has another tokenizer: with it, questions fit into the input that are too long with the base model's"
    if _types(base) != _types(tuned):
        return "its tokenizer marks the two texts of a pair otherwise than the base model's (token types)"
    return None


def _token(samples: SampleSet, ids: list[int], position: int) -> str:
    if position >= len(ids):
        return "no token"
    text = samples.token_text(ids[position])
    return f"id {ids[position]}" if text is None else f"{text!r} (id {ids[position]})"


def _types(samples: SampleSet) -> list[list[int]]:
    """The token types of every sample; without any, they are all 0, as models take them to be."""
    if samples.token_type_ids is None:
        return [[0] * length for length in samples.lengths]
    return [list(types) for types in samples.token_type_ids]
