"""Models that read the texts with a tokenizer of their own: their samples, and the words that two tokenizers have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from repdrift.core.errors import DataError
from repdrift.core.records.representation_set import Pooling
from repdrift.core.words import counted
from repdrift.tasks import SampleSet
from repdrift.tasks.word_tokens import Word, WordTokens

RowsBy = Literal["text", "word"]

MOST_WORDS = 2048
"""Words that are drawn of all: enough to tell layers apart, and few enough that every two layers are compared at once."""

WordsOf = Callable[[SampleSet], list[WordTokens]]
"""Gives the tokens of each word of each sample."""


@dataclass(frozen=True)
class OwnReading:
    """Reading of the texts by one model. by: what becomes a row. pooling: of its tokens where a text is a row. words_of: for rows by word."""

    samples: SampleSet
    by: RowsBy
    pooling: Pooling
    words_of: WordsOf


@dataclass(frozen=True)
class CommonWords:
    """Words that both models read whole: for each its sample's number in both sets, and its tokens there.

    texts: for each word the number of its sample in the base model's set. notes: sentences on what was left out and drawn.
    """

    base: list[tuple[int, tuple[int, ...]]]
    tuned: list[tuple[int, tuple[int, ...]]]
    texts: list[int]
    notes: tuple[str, ...]


def common_samples(base: SampleSet, tuned: SampleSet) -> list[tuple[int, int]]:
    """Pairs of numbers of the samples that both sets hold, in the base model's order. Raises DataError if there are fewer than 4."""
    there = {name: number for number, name in enumerate(tuned.sample_ids)}
    pairs = [(number, there[name]) for number, name in enumerate(base.sample_ids) if name in there]
    if len(pairs) < 4:
        raise DataError(
            f"only {counted(len(pairs), 'text')} can be read by both models; at least 4 are needed. Give a larger --max-length."
        )
    return pairs


def common_words(
    base: SampleSet,
    reading: OwnReading,
    leave_out: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]],
    *,
    seed: int,
) -> CommonWords:
    """The words that both models read whole, at most `MOST_WORDS` of them, drawn at random.

    leave_out: for each model and sample the numbers of tokens that are attention sinks, which are part of no word. Raises DataError if fewer than
    4 words are left, or a tokenizer gives no character offsets.
    """
    pairs = common_samples(base, reading.samples)
    ours, theirs = reading.words_of(base), reading.words_of(reading.samples)
    found: list[tuple[int, int, tuple[int, ...], tuple[int, ...]]] = []
    sunk = total = 0
    for a, b in pairs:
        names: set[Word] = set(ours[a].tokens) & set(theirs[b].tokens)
        total += len(ours[a].tokens) + ours[a].cut + ours[a].without
        for word in sorted(names):
            left = [at for at in ours[a].tokens[word] if at not in leave_out[0][a]]
            right = [at for at in theirs[b].tokens[word] if at not in leave_out[1][b]]
            if left and right:
                found.append((a, b, tuple(left), tuple(right)))
            else:
                sunk += 1
    if len(found) < 4:
        raise DataError(
            f"both models read {counted(len(found), 'word')} whole; at least 4 are needed. Give longer texts, or a larger --max-length."
        )
    chosen = found
    notes = [
        f"A row is a word: {counted(len(found), 'word')} of {total} in {counted(len(pairs), 'text')}, each the mean over its tokens, without attention sinks."
    ]
    cut = sum(max(ours[a].cut, theirs[b].cut) for a, b in pairs)
    without = sum(max(ours[a].without, theirs[b].without) for a, b in pairs)
    for count, why in (
        (cut, "stand where a text was cut for one of the models"),
        (without, "have no token in one of the models"),
        (sunk, "are attention sinks alone in one of the models"),
    ):
        if count:
            notes.append(f"Left out: {counted(count, 'word')} that {why}.")
    if len(found) > MOST_WORDS:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(found))[:MOST_WORDS])
        chosen = [found[int(number)] for number in drawn]
        notes.append(f"{MOST_WORDS} of these words were drawn at random.")
    return CommonWords(
        [(a, left) for a, _, left, _ in chosen],
        [(b, right) for _, b, _, right in chosen],
        [a for a, *_ in chosen],
        tuple(notes),
    )
