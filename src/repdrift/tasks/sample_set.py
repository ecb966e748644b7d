"""The fixed evaluation inputs of a task: the same samples in the same order for every model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from repdrift.core.errors import DataError
from repdrift.tasks.encoding import TokenRow, encode_row, token_row
from repdrift.tasks.files import Row
from repdrift.tasks.spec import TaskSpec

DEFAULT_SAMPLES = 750
MIN_SAMPLES = 4
"""Unbiased HSIC divides by n (n - 3)."""


@dataclass(frozen=True)
class SampleSet:
    """Tokenised samples, not padded. `source` says in plain words where the rows came from."""

    task: str
    sample_ids: tuple[str, ...]
    input_ids: tuple[TokenRow, ...]
    token_type_ids: tuple[TokenRow, ...] | None
    truncated_samples: int
    source: str

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sample."""
        return [len(ids) for ids in self.input_ids]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over token ids, attention masks, order and sample ids.

        Samples are not padded, so every mask is all ones and is given by the length; token types, where the model
        has them, are inputs too and count.
        """
        digest = hashlib.sha256(b"repdrift sample set 1\0")
        for position, name in enumerate(self.sample_ids):
            ids = np.asarray(self.input_ids[position], dtype="<i8")
            digest.update(f"{len(name.encode())}:{name}:{ids.size}:".encode())
            digest.update(ids.tobytes())
            if self.token_type_ids is not None:
                digest.update(np.asarray(self.token_type_ids[position], dtype="<i8").tobytes())
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

    The choice is by the hash of task and sample id, so it depends neither on a random generator nor on the order of
    the file; chosen rows keep the file's order.
    Raises DataError on fewer than 4 rows or on a sample id that stands twice.
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
        token_type_ids=tuple(e.token_type_ids or token_row(()) for e in encoded) if has_types else None,
        truncated_samples=sum(e.truncated for e in encoded),
        source=source,
    )


def choose_rows(spec: TaskSpec, rows: Sequence[Row], n: int | None, *, source: str = "") -> list[Row]:
    """At most `n` rows (None: all), chosen by the hash of task and sample id; they keep the file's order."""
    return [rows[index] for index in _choose(spec.name, _sample_ids(spec, rows, source), n)]


def _sample_ids(spec: TaskSpec, rows: Sequence[Row], source: str) -> list[str]:
    ids = [str(row[spec.id_column]) if spec.id_column else str(number) for number, row in enumerate(rows)]
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(name for name in ids if name in seen or seen.add(name))
        raise DataError(f"task {spec.name!r}: sample id {twice!r} stands twice in column {spec.id_column!r} ({source})")
    return ids


def _choose(task: str, ids: list[str], n_samples: int | None) -> list[int]:
    if n_samples is None or n_samples >= len(ids):
        return list(range(len(ids)))
    keys = [hashlib.sha256(f"{task}\0{name}".encode()).digest() for name in ids]
    return sorted(sorted(range(len(ids)), key=keys.__getitem__)[:n_samples])
