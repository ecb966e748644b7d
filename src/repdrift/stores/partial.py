"""The state of an unfinished set: what it will be, and which batches are in its files.

`.partial/journal.jsonl` is rank 0's, `journal.rank{k}.jsonl` rank k's: a header, then one line for each batch (or part
of its layers) once it is in the files, with the rows and the CRC-32 of what was written. Nothing is flushed to the disk
for a line: after a power cut a line whose data did not arrive is found out by its checksum. A torn line ends a journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from repdrift.core.atomic import write_text
from repdrift.core.records.base import Record
from repdrift.core.records.representation_set import PayloadFormat
from repdrift.stores.disk import writing
from repdrift.stores.names import PARTIAL_FOLDER
from repdrift.stores.payload import PayloadLayout

PARTIAL_FORMAT_VERSION = 1


class PartialHeader(Record):
    """First line of a journal."""

    format: Literal[1] = PARTIAL_FORMAT_VERSION
    key: str
    plan: Any
    """Opaque here: how the caller composed the batches. The same batches give the same bits."""
    n_batches: int
    layers: list[int]
    rows: int
    d: int
    dtype: str
    payload: PayloadFormat

    @property
    def layout(self) -> PayloadLayout:
        """Of each layer's file."""
        return PayloadLayout(self.payload, self.rows, self.d, self.dtype)


class JournalLine(Record):
    """One batch, or some layers of it, that is in the files."""

    batch: int
    rows: list[tuple[int, int]]
    """Runs of rows: first row, count; ascending."""
    crc: dict[int, int]
    """CRC-32 of the rows' bytes, in ascending order, by layer."""


def journal_path(folder: Path, rank: int = 0) -> Path:
    """The journal of one rank, for the set in `folder`."""
    name = "journal.jsonl" if rank == 0 else f"journal.rank{rank}.jsonl"
    return folder / PARTIAL_FOLDER / name


def read_header(folder: Path) -> PartialHeader | None:
    """The header of the unfinished set in `folder`; None if there is none that can be used."""
    try:
        with journal_path(folder).open("rb") as stream:
            return PartialHeader.model_validate_json(stream.readline())
    except (OSError, ValidationError):
        return None


def read_lines(folder: Path) -> list[JournalLine]:
    """The lines of all ranks' journals, each up to its first torn one."""
    paths = sorted((folder / PARTIAL_FOLDER).glob("journal*.jsonl"))
    return [line for path in paths for line in _whole_lines(path)]


def done_batches(lines: Iterable[JournalLine], layers: Iterable[int]) -> set[int]:
    """The batches of which every layer is there."""
    wanted = set(layers)
    found: dict[int, set[int]] = {}
    for line in lines:
        found.setdefault(line.batch, set()).update(line.crc)
    return {batch for batch, have in found.items() if wanted <= have}


def write_journal(folder: Path, header: PartialHeader, lines: Iterable[JournalLine]) -> None:
    """Make one journal of all, rank 0's; the other ranks' are deleted after it is safe on the disk."""
    text = "".join(record.model_dump_json() + "\n" for record in (header, *lines))
    own = journal_path(folder)
    write_text(own, text)
    for path in own.parent.glob("journal.rank*.jsonl"):
        path.unlink()


class Journal:
    """One rank's journal, open for more lines. Rank 0's must exist; another rank's is begun with `header`."""

    def __init__(self, folder: Path, header: PartialHeader, rank: int) -> None:
        self._path = journal_path(folder, rank)
        with writing(self._path):
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if os.fstat(self._file).st_size == 0:
                self._append(header.model_dump(mode="json"))

    def append(self, batch: int, rows: list[tuple[int, int]], crc: Mapping[int, int]) -> None:
        """Note that these rows of a batch are in the files of these layers."""
        with writing(self._path):
            self._append({"batch": batch, "rows": rows, "crc": dict(crc)})

    def close(self) -> None:
        """No more lines."""
        os.close(self._file)

    def _append(self, content: dict[str, Any]) -> None:
        line = json.dumps(content, separators=(",", ":")).encode() + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError(28, "the journal's line was cut short")  # ENOSPC: nothing else cuts a write to a file


def _whole_lines(path: Path) -> Iterator[JournalLine]:
    with path.open("rb") as stream:
        stream.readline()
        for text in stream:
            try:
                line = JournalLine.model_validate_json(text)
            except ValidationError:
                return
            if not text.endswith(b"\n"):
                return
            yield line
