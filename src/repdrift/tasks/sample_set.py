"""The fixed evaluation inputs of a task: every model is shown the same samples in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from repdrift.core.errors import DataError
from repdrift.core.group_words import group_notes
from repdrift.core.length_limit import LengthLimit
from repdrift.core.records.representation_set import PoolOver
from repdrift.core.sample_count import LEAST_SAMPLES
from repdrift.tasks.continuation_text import ContinuationEncoder, EncodedContinuation, continuation_notes
from repdrift.tasks.data_files import Row
from repdrift.tasks.encoding import Encoded, RowLeftOutError, TokenIds, encode_row, length_notes, token_ids
from repdrift.tasks.group_names import groups_of
from repdrift.tasks.sample_facts import SampleFacts, facts_of
from repdrift.tasks.sources import Rows
from repdrift.tasks.spec import TaskSpec

DEFAULT_SAMPLES = 750
MIN_SAMPLES = LEAST_SAMPLES

_MANY_UNKNOWN = 0.2
"""Share of unknown tokens above which the notes speak of them."""
_MANY_REPEATED = 0.05
"""Share of repeated samples above which the notes speak of them."""


@dataclass(frozen=True)
class SampleSet:
    """Tokenised samples, not padded.

    truncated_samples: how many were cut. source: in plain words where they come from. notes: sentences on how the data was
    read (what was used as text, rows left out, an example); not part of the fingerprint. row_numbers: for each sample, the
    number of its row among those that were read, counted from 1; None: not known. attention_masks: for each sample, 1 on tokens that are read and 0 on those in
    between that are not; None: all are read. position_ids: for each sample, the positions of its tokens; None: the model's own.
    completion_masks: for each sample, 1 on the tokens of its completions; None: the task has none. pool_over: the tokens that a pooling
    takes, all that are read or those of the prompt or of the completions; no part of the fingerprint, but of a set's key.
    groups: for each sample the name of its group, such as the paragraph that questions share; None: each stands alone. No part of
    the fingerprint, since no model reads them. group_unit: a group in one word.
    facts: texts, labels and columns by which samples are grouped in results; None: not known. No part of the fingerprint.
    tokenizer: what made the tokens, to name one in an error; None: not known.
    """

    task: str
    sample_ids: tuple[str, ...]
    input_ids: tuple[TokenIds, ...]
    token_type_ids: tuple[TokenIds, ...] | None
    truncated_samples: int
    source: str
    notes: tuple[str, ...] = ()
    row_numbers: tuple[int, ...] | None = None
    attention_masks: tuple[TokenIds, ...] | None = None
    position_ids: tuple[TokenIds, ...] | None = None
    completion_masks: tuple[TokenIds, ...] | None = None
    pool_over: PoolOver = "all"
    groups: tuple[str, ...] | None = None
    group_unit: str = "group"
    facts: SampleFacts | None = field(default=None, repr=False, compare=False)
    tokenizer: Any = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each sample, those included that an attention mask hides."""
        return [len(ids) for ids in self.input_ids]

    @cached_property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """Smallest and largest token id, token type and position, by the field's name; fields that are None are left out."""
        fields = {name: getattr(self, name) for name in ("input_ids", "token_type_ids", "position_ids")}
        return {
            name: (min(map(min, values)), max(map(max, values)))
            for name, values in fields.items()
            if values is not None and len(values)
        }

    @property
    def real_lengths(self) -> list[int]:
        """The number of tokens of each sample that are read."""
        return self.lengths if self.attention_masks is None else [sum(mask) for mask in self.attention_masks]

    def over(self, part: PoolOver) -> SampleSet:
        """These samples, of which a pooling takes the tokens of `part` only. Raises DataError, naming the sample, if one has none of them."""
        if part == self.pool_over:
            return self
        notes = tuple(note for note in self.notes if note != _pooled_note(self.pool_over))
        if part == "all":
            return replace(self, pool_over="all", notes=notes)
        if self.completion_masks is None:
            raise DataError(
                f"task {self.task!r} has no completions, so its samples cannot be pooled over the {part} alone: take pool_over: all, or a task of "
                "kind causal_lm"
            )
        chosen = replace(self, pool_over=part, notes=(*notes, _pooled_note(part)))
        without = next((i for i, length in enumerate(chosen.pooled_lengths) if length == 0), None)
        if without is not None:
            raise DataError(
                f"{self.described(without)} of task {self.task!r} has no {part} token to pool over; leave the sample out, or take pool_over: all"
            )
        return chosen

    @cached_property
    def pooled_masks(self) -> tuple[TokenIds, ...] | None:
        """For each sample, 1 on the tokens that a pooling takes; None: all that are read."""
        if self.pool_over == "all" or self.completion_masks is None:
            return None
        wanted = 1 if self.pool_over == "completion" else 0
        read = self.attention_masks or tuple([1] * length for length in self.lengths)
        return tuple(
            token_ids([int(is_read and mark == wanted) for is_read, mark in zip(mask, marks, strict=True)])
            for mask, marks in zip(read, self.completion_masks, strict=True)
        )

    @property
    def pooled_lengths(self) -> list[int]:
        """The number of tokens of each sample that a pooling takes."""
        return self.real_lengths if self.pooled_masks is None else [sum(mask) for mask in self.pooled_masks]

    def described(self, index: int) -> str:
        """Names sample number `index` (from 0) as its owner knows it: by its id, and by its row where that is known."""
        row = f" (row {self.row_numbers[index]} of those read)" if self.row_numbers is not None else ""
        return f"sample {self.sample_ids[index]!r}{row}"

    def token_text(self, token: int) -> str | None:
        """The text of a token id, or None if no tokenizer is known or it knows no such id."""
        if self.tokenizer is None or token < 0:
            return None
        try:
            return self.tokenizer.convert_ids_to_tokens(token)
        except (IndexError, OverflowError, ValueError):
            return None

    def part(self, indices: Sequence[int]) -> SampleSet:
        """The samples with these numbers, in this order. How many of them were cut is not known of a part, and is 0."""
        of_samples = (
            *("sample_ids", "input_ids", "token_type_ids", "row_numbers", "attention_masks", "position_ids"),
            "completion_masks",
            "groups",
        )
        values = {name: getattr(self, name) for name in of_samples}
        chosen = {name: None if v is None else tuple(v[i] for i in indices) for name, v in values.items()}
        facts = None if self.facts is None else self.facts.part(indices)
        return replace(self, truncated_samples=0, facts=facts, **chosen)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 over token ids, token types, completions, lengths, order and sample ids.

        Samples are not padded, so a sample's length determines its attention mask, unless it has one of its own.
        """
        digest = hashlib.sha256(b"repdrift sample set 1\0")
        for index, name in enumerate(self.sample_ids):
            ids = np.asarray(self.input_ids[index], dtype="<i8")
            digest.update(f"{len(name.encode())}:{name}:{ids.size}:".encode())
            digest.update(ids.tobytes())
            if self.token_type_ids is not None:
                digest.update(np.asarray(self.token_type_ids[index], dtype="<i8").tobytes())
            for kind, values in (
                (b"mask", self.attention_masks),
                (b"positions", self.position_ids),
                (b"completion", self.completion_masks),
            ):
                if values is not None:
                    digest.update(kind + np.asarray(values[index], dtype="<i8").tobytes())
        return digest.hexdigest()


def build_sample_set(
    spec: TaskSpec,
    rows: Sequence[Row],
    tokenizer: Any,
    *,
    max_length: int,
    n_samples: int | None = DEFAULT_SAMPLES,
    source: str = "",
    notes: Sequence[str] = (),
    limit: LengthLimit | None = None,
) -> SampleSet:
    """Choose at most `n_samples` rows (None or 0: all) and tokenise them.

    The rows with the smallest hashes of task and sample id are chosen, and keep the file's order. So the choice depends
    neither on a random generator nor on the order of the file. A chosen row whose question leaves no room for its context, or of whose
    completion the limit leaves nothing, is left out, and the notes say so. notes: on how the rows were read. limit: the model's, for notes on long samples.
    Raises DataError if there are fewer than 4 rows, two have the same sample id, or a text has no tokens.
    """
    n_samples = n_samples or None
    ids = sample_ids(spec, rows, source)
    if len(rows) < MIN_SAMPLES:
        raise DataError(f"task {spec.name!r} has {len(rows)} samples ({source}); at least {MIN_SAMPLES} are needed")
    if n_samples is not None and n_samples < MIN_SAMPLES:
        raise DataError(f"{n_samples} samples were asked for; at least {MIN_SAMPLES} are needed, or 0 for all")
    encoded: dict[int, Encoded] = {}
    left_out: dict[int, RowLeftOutError] = {}
    encode = _encoder(spec, tokenizer, max_length)
    for index in _choose(spec.name, ids, n_samples):
        try:
            encoded[index] = encode(rows[index])
        except RowLeftOutError as error:
            left_out[index] = error
        except DataError as error:
            raise DataError(
                f"task {spec.name!r}, sample {ids[index]!r} (row {index + 1} of those read): {error}"
            ) from error
    found = list(encoded.values())
    has_types = all(e.token_type_ids is not None for e in found)
    texts = [e for e in found if isinstance(e, EncodedContinuation)]
    samples = SampleSet(
        task=spec.name,
        sample_ids=tuple(ids[index] for index in encoded),
        input_ids=tuple(e.input_ids for e in found),
        token_type_ids=tuple(e.token_type_ids or token_ids(()) for e in found) if has_types else None,
        truncated_samples=sum(e.truncated for e in found),
        source=source,
        row_numbers=tuple(index + 1 for index in encoded),
        completion_masks=tuple(token_ids(e.completion_mask) for e in texts) if texts else None,
        groups=groups_of(spec, [rows[index] for index in encoded]),
        group_unit=spec.group_unit,
        facts=facts_of(spec, [rows[index] for index in encoded]),
        tokenizer=tokenizer,
    )
    said = [
        *notes,
        *_left_out_note(left_out, ids, len(encoded)),
        *continuation_notes(texts, max_length, what="sample"),
        *group_notes(samples.groups, samples.group_unit),
        *_no_own_tokens_note(samples, tokenizer),
        *unknown_tokens_note(samples, tokenizer),
        *repeated_texts_note(samples),
        *length_notes(samples.lengths, samples.truncated_samples, tokenizer, limit or LengthLimit()),
    ]
    return replace(samples, notes=tuple(said))


def _encoder(spec: TaskSpec, tokenizer: Any, max_length: int) -> Callable[[Row], Encoded]:
    if spec.kind == "causal_lm":
        return ContinuationEncoder(spec, tokenizer, max_length=max_length).encode
    return lambda row: encode_row(row, spec, tokenizer, max_length=max_length)


def _pooled_note(part: PoolOver) -> str:
    return f"The representations are pooled over the tokens of the {part} alone."


def _left_out_note(left_out: dict[int, RowLeftOutError], ids: Sequence[str], kept: int) -> list[str]:
    """Says how many rows are left out. Raises DataError if too few are kept."""
    if not left_out:
        return []
    index, error = next(iter(left_out.items()))
    first = f"sample {ids[index]!r} (row {index + 1} of those read): {error}"
    if kept < MIN_SAMPLES:
        raise DataError(
            f"{len(left_out)} of {len(left_out) + kept} samples cannot be used, and {kept} are left; at least {MIN_SAMPLES} are "
            f"needed. The first: {first}. Give a larger max_length."
        )
    return [f"{len(left_out)} of {len(left_out) + kept} samples were left out; the first: {first}."]


def _no_own_tokens_note(samples: SampleSet, tokenizer: Any) -> list[str]:
    """Says how many samples hold special tokens alone, as empty texts do; their representations say nothing of a text."""
    special = set(tokenizer.all_special_ids) - {getattr(tokenizer, "unk_token_id", None)}
    without = [index for index, ids in enumerate(samples.input_ids) if special.issuperset(ids)]
    if not without:
        return []
    return [
        f"{len(without)} of {len(samples)} samples have no token of their own, only special ones such as those that the tokenizer "
        f"adds to every text; the first: {samples.described(without[0])}."
    ]


def unknown_tokens_note(samples: SampleSet, tokenizer: Any) -> list[str]:
    """Says so if many tokens are the one for what the tokenizer does not know: the model reads next to nothing of the texts."""
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is None or unknown == tokenizer.eos_token_id:  # GPT-2 has one token for both
        return []
    count, tokens = sum(list(ids).count(unknown) for ids in samples.input_ids), sum(samples.lengths)
    if count <= _MANY_UNKNOWN * tokens:
        return []
    return [
        f"{count} of {tokens} tokens are {tokenizer.unk_token!r}, which stands for what the tokenizer does not know: the models read "
        "little of these texts."
    ]


def repeated_texts_note(samples: SampleSet) -> list[str]:
    """Says so if many samples without groups have the tokens of an earlier one: intervals over samples are then too narrow."""
    repeated = len(samples) - len({tuple(ids) for ids in samples.input_ids})
    if samples.groups is not None or repeated <= _MANY_REPEATED * len(samples):
        return []
    return [
        f"{repeated} of {len(samples)} samples have the same tokens as an earlier one, and intervals count each as one more: they are narrower "
        "than they should be. Leave repeated texts out, or name a column of groups that holds them together."
    ]


def choose_rows(spec: TaskSpec, rows: Sequence[Row], n: int | None, *, source: str = "") -> list[Row]:
    """Choose at most `n` rows (None or 0: all) by the hash of task and sample id; they keep the file's order."""
    return [rows[index] for index in chosen_numbers(spec, rows, n, source=source)]


def chosen_numbers(spec: TaskSpec, rows: Sequence[Row], n: int | None, *, source: str = "") -> list[int]:
    """Returns the numbers, from 0, of the rows that `choose_rows` takes."""
    return _choose(spec.name, sample_ids(spec, rows, source), n)


def rows_in_use(spec: TaskSpec, rows: Rows, n: int | None) -> Rows:
    """The rows that `choose_rows` takes of one split, with the source and the notes of the whole.

    n: rows at most; None or 0 means all. Raises DataError if two rows have the same id.
    """
    return replace(rows, rows=choose_rows(spec, rows.rows, n, source=rows.source))


def sample_ids(spec: TaskSpec, rows: Sequence[Row], source: str) -> list[str]:
    """Returns the id of each row: what its id column holds, or its number from 0. Raises DataError if two rows have the same id."""
    ids = [str(row[spec.id_column]) if spec.id_column else str(number) for number, row in enumerate(rows)]
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))
        raise DataError(
            f"task {spec.name!r}: sample id {twice!r} is there twice, in column {spec.id_column!r} ({source})"
        )
    return ids


def _choose(task: str, ids: list[str], n_samples: int | None) -> list[int]:
    if not n_samples or n_samples >= len(ids):
        return list(range(len(ids)))
    keys = [hashlib.sha256(f"{task}\0{name}".encode()).digest() for name in ids]
    return sorted(sorted(range(len(ids)), key=keys.__getitem__)[:n_samples])
