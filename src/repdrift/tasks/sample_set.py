"""The fixed evaluation inputs of a task: every model is shown the same samples in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from repdrift.core.errors import DataError
from repdrift.tasks.data_files import Row
from repdrift.tasks.encoding import TokenIds, encode_row, token_ids
from repdrift.tasks.spec import TaskSpec

DEFAULT_SAMPLES = 750
MIN_SAMPLES = 4
"""The least number of samples: unbiased HSIC divides by n (n - 3)."""


@dataclass(frozen=True)
class SampleSet:
    """Tokenised samples, not padded.

    truncated_samples: how many were cut. source: in plain words where they come from. notes: sentences on how the data was
    read (what was used as text, rows left out, an example); not part of the fingerprint.
    """

    task: str
    sample_ids: tuple[str, ...]
    input_ids: tuple[TokenIds, ...]
    token_type_ids: tuple[TokenIds, ...] | None
    truncated_samples: int
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each sample."""
        return [len(ids) for ids in self.input_ids]

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 over token ids, token types, lengths, order and sample ids.

        Samples are not padded, so a sample's length determines its attention mask.
        """
        digest = hashlib.sha256(b"repdrift sample set 1\0")
        for index, name in enumerate(self.sample_ids):
            ids = np.asarray(self.input_ids[index], dtype="<i8")
            digest.update(f"{len(name.encode())}:{name}:{ids.size}:".encode())
            digest.update(ids.tobytes())
            if self.token_type_ids is not None:
                digest.update(np.asarray(self.token_type_ids[index], dtype="<i8").tobytes())
        return digest.hexdigest()


def build_sample_set(
    spec: TaskSpec,
    rows: Sequence[Row],
    tokenizer: Any,
    *,
    max_length: int,
    n_samples: int | None = DEFAULT_SAMPLES,
    source: str = "",
) -> SampleSet:
    """Choose at most `n_samples` rows (None: all) and tokenise them.

    The rows with the smallest hashes of task and sample id are chosen, and keep the file's order. So the choice depends
    neither on a random generator nor on the order of the file.
    Raises DataError if there are fewer than 4 rows or two have the same sample id.
    """
    ids = _sample_ids(spec, rows, source)
    if len(rows) < MIN_SAMPLES:
        raise DataError(f"task {spec.name!r} has {len(rows)} samples ({source}); at least {MIN_SAMPLES} are needed")
    if n_samples is not None and n_samples < MIN_SAMPLES:
        raise DataError(f"{n_samples} samples were asked for; at least {MIN_SAMPLES} are needed")
    chosen = _choose(spec.name, ids, n_samples)
    encoded = [encode_row(rows[index], spec, tokenizer, max_length=max_length) for index in chosen]
    has_types = all(e.token_type_ids is not None for e in encoded)
    return SampleSet(
        task=spec.name,
        sample_ids=tuple(ids[index] for index in chosen),
        input_ids=tuple(e.input_ids for e in encoded),
        token_type_ids=tuple(e.token_type_ids or token_ids(()) for e in encoded) if has_types else None,
        truncated_samples=sum(e.truncated for e in encoded),
        source=source,
    )


def choose_rows(spec: TaskSpec, rows: Sequence[Row], n: int | None, *, source: str = "") -> list[Row]:
    """Choose at most `n` rows (None: all) by the hash of task and sample id; they keep the file's order."""
    return [rows[index] for index in _choose(spec.name, _sample_ids(spec, rows, source), n)]


def _sample_ids(spec: TaskSpec, rows: Sequence[Row], source: str) -> list[str]:
    ids = [str(row[spec.id_column]) if spec.id_column else str(number) for number, row in enumerate(rows)]
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))
        raise DataError(
            f"task {spec.name!r}: sample id {twice!r} is there twice, in column {spec.id_column!r} ({source})"
        )
    return ids


def _choose(task: str, ids: list[str], n_samples: int | None) -> list[int]:
    if n_samples is None or n_samples >= len(ids):
        return list(range(len(ids)))
    keys = [hashlib.sha256(f"{task}\0{name}".encode()).digest() for name in ids]
    return sorted(sorted(range(len(ids)), key=keys.__getitem__)[:n_samples])
