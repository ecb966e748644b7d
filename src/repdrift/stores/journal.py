"""The journal of an unfinished set: what the set will be, and which batches are in its files.

Rank 0 writes `.partial/journal.jsonl`, rank k writes `journal.rank{k}.jsonl`. The first line is a header. Each further line
notes one batch, or some sites and layers of it, once it is in the files: its rows, and the CRC-32 of what was written. Header and lines
hold the checksum of their own content. No line waits until its data is on the disk. After a power cut, the CRC-32 shows
which lines tell of data that did not arrive. A journal ends at its first line that is torn or was changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from repdrift.core.atomic import write_text
from repdrift.core.errors import CorruptSetError, DataError
from repdrift.core.fingerprint import config_sha256, open_regular
from repdrift.core.reading import reading_errors
from repdrift.core.records.base import CHECKSUM_KEY, Record
from repdrift.core.records.representation_set import PayloadFormat
from repdrift.core.records.sites import RESID_POST, SiteLayer, places_of
from repdrift.stores.disk import writing
from repdrift.stores.payload import PayloadLayout
from repdrift.stores.row_batch import RowRange
from repdrift.stores.set_folder import UNFINISHED_FOLDER

JOURNAL_FORMAT_VERSION = 1


class JournalHeader(Record):
    """First line of a journal: what the set will be."""

    format: Literal[1] = JOURNAL_FORMAT_VERSION
    key: str
    settings: dict[str, str] = {}
    """Those of SetMetadata, beside the key."""
    plan: Any
    """Says how the caller composed the batches; not interpreted here. Equal batches give equal bits."""
    n_batches: int
    layers: list[int]
    sites: dict[str, list[int]] = {}
    """By site other than `resid_post`: the layers that have it."""
    rows: int
    """Rows of each layer."""
    d: int
    """Features of each row."""
    dtype: str
    payload: PayloadFormat

    @property
    def places(self) -> list[SiteLayer]:
        """Every site and layer of the set: one file each."""
        return places_of(self.layers, self.sites)

    @property
    def layout(self) -> PayloadLayout:
        """The layout of each layer's file."""
        return PayloadLayout(self.payload, self.rows, self.d, self.dtype)


class JournalLine(Record):
    """One batch, or some sites and layers of it, that is in the files."""

    batch: int
    rows: list[RowRange]
    """The rows of the set that the batch fills, ascending."""
    crc: dict[int, int]
    """By layer: CRC-32 of the bytes of these rows of `resid_post`, in ascending order."""
    site_crc: dict[str, dict[int, int]] = {}
    """The same of the other sites, by site and layer."""

    @classmethod
    def of(cls, batch: int, rows: list[RowRange], crc: Mapping[SiteLayer, int]) -> Self:
        """The line of a batch. crc: by site and layer."""
        own: dict[str, dict[int, int]] = {}
        for place, value in crc.items():
            own.setdefault(place.site, {})[place.layer] = value
        return cls(batch=batch, rows=rows, crc=own.pop(RESID_POST, {}), site_crc=own)

    @property
    def by_place(self) -> dict[SiteLayer, int]:
        """CRC-32 of the bytes of these rows, by site and layer."""
        by_site = {RESID_POST: self.crc, **self.site_crc}
        return {SiteLayer(site, layer): crc for site, found in by_site.items() for layer, crc in found.items()}

    def keeping(self, places: Container[SiteLayer]) -> Self:
        """The line without the sites and layers that are not among `places`."""
        return self.of(self.batch, self.rows, {place: crc for place, crc in self.by_place.items() if place in places})


def journal_path(folder: Path, rank: int = 0) -> Path:
    """The journal of one rank, for the set in `folder`."""
    name = "journal.jsonl" if rank == 0 else f"journal.rank{rank}.jsonl"
    return folder / UNFINISHED_FOLDER / name


def read_header(folder: Path) -> JournalHeader | None:
    """Read the header of the unfinished set in `folder`; None if there is no valid one."""
    try:
        with open_regular(journal_path(folder)) as stream:
            return JournalHeader.parse(stream.readline(), str(journal_path(folder)))
    except (OSError, DataError):
        return None


def read_lines(folder: Path) -> list[JournalLine]:
    """Read the lines of all ranks' journals, each journal up to its first torn line."""
    paths = sorted((folder / UNFINISHED_FOLDER).glob("journal*.jsonl"))
    return [line for path in paths for line in _whole_lines(path)]


def complete_batches(lines: Iterable[JournalLine], places: Iterable[SiteLayer]) -> frozenset[int]:
    """The numbers of the batches that are in the files of all these sites and layers."""
    wanted = set(places)
    found: dict[int, set[SiteLayer]] = {}
    for line in lines:
        found.setdefault(line.batch, set()).update(line.by_place)
    return frozenset(batch for batch, have in found.items() if wanted <= have)


def without_repeats(lines: Iterable[JournalLine]) -> list[JournalLine]:
    """The lines without any site and layer of a batch that an earlier line notes already."""
    seen: set[tuple[int, SiteLayer]] = set()
    kept: list[JournalLine] = []
    for line in lines:
        places = {place for place in line.by_place if (line.batch, place) not in seen}
        seen |= {(line.batch, place) for place in places}
        if places:
            kept.append(line.keeping(places))
    return kept


def write_journal(folder: Path, header: JournalHeader, lines: Iterable[JournalLine]) -> None:
    """Write one journal, rank 0's, with these lines; once it is safe on the disk, delete the other ranks' journals."""
    text = "".join(_line(record.model_dump(mode="json")) for record in (header, *lines))
    own = journal_path(folder)
    write_text(own, text)
    for path in own.parent.glob("journal.rank*.jsonl"):
        path.unlink()


class Journal:
    """One rank's journal, open for more lines. Rank 0's must exist; another rank's is started with `header`."""

    def __init__(self, folder: Path, header: JournalHeader, rank: int) -> None:
        self._path = journal_path(folder, rank)
        with writing(self._path):
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if os.fstat(self._file).st_size == 0:
                self._append(header.model_dump(mode="json"))

    def append(self, batch: int, rows: list[RowRange], crc: Mapping[SiteLayer, int]) -> None:
        """Note that these rows of a batch are in the files of the sites and layers in `crc`."""
        with writing(self._path):
            self._append(JournalLine.of(batch, rows, crc).model_dump(mode="json"))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, content: dict[str, Any]) -> None:
        line = _line(content).encode()
        if os.write(self._file, line) != len(line):
            raise OSError(28, "the journal's line was cut short")  # ENOSPC: nothing else cuts a write to a file


def _line(content: dict[str, Any]) -> str:
    """A line of a journal: an object of JSON with the checksum of its other entries."""
    plain = json.loads(json.dumps(content))
    return json.dumps({**plain, CHECKSUM_KEY: config_sha256(plain)}, separators=(",", ":")) + "\n"


def _whole_lines(path: Path) -> Iterator[JournalLine]:
    with reading_errors(path, CorruptSetError), open_regular(path) as stream:
        stream.readline()
        for text in stream:
            try:
                line = JournalLine.parse(text, str(path))
            except DataError:
                return
            if not text.endswith(b"\n"):
                return
            yield line
