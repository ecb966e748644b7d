"""An unfinished set, open for writing: its files, this rank's journal, and the threads that write and digest."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repdrift.core.errors import ShapeError
from repdrift.core.progress import Bar
from repdrift.core.records.sites import SiteLayer
from repdrift.stores.background import BackgroundQueue, FileFlusher
from repdrift.stores.digests import SetDigests
from repdrift.stores.journal import (
    Journal,
    JournalHeader,
    JournalLine,
    complete_batches,
    read_lines,
    without_repeats,
    write_journal,
)
from repdrift.stores.layer_files import LayerFiles
from repdrift.stores.row_batch import RowBatch
from repdrift.stores.set_folder import move_back

_CHECKING_THREADS = 4


class UnfinishedSet:
    """The files and the journal of one rank. Rank 0 makes it by create() or resume(), another rank by join().

    complete_batches: numbers of the batches that were complete when this was opened.
    damaged_batches: how many batches the journals called complete although their checksums do not match.
    """

    def __init__(
        self, folder: Path, header: JournalHeader, files: LayerFiles, lines: list[JournalLine], *, rank: int, alone: bool
    ) -> None:  # fmt: skip
        self.header = header
        self.complete_batches = complete_batches(lines, header.places)
        self.damaged_batches = 0
        self._files = files
        self._found: dict[int, set[SiteLayer]] = {}
        self._written: dict[int, set[SiteLayer]] = {}
        for line in lines:
            self._found.setdefault(line.batch, set()).update(line.by_place)
        # Other ranks' rows come into the files unseen, and from another machine late: then all is digested at the end.
        self._digests = SetDigests(files) if alone else None
        self._journal = Journal(folder, header, rank)
        self._flusher = FileFlusher(files)
        self._queue = BackgroundQueue("repdrift-write")
        if self._digests is not None:
            for line in lines:
                self._digests.add(line.by_place, line.rows)
            self._digests.start()

    @classmethod
    def create(cls, folder: Path, header: JournalHeader, world_size: int) -> UnfinishedSet:
        """Make the files in a folder whose `.partial` is empty. The header is written last: with it, all files are there.

        Raises StorageError if there is not enough space.
        """
        files = LayerFiles(folder, header.layout, header.places)
        try:
            files.make()
            write_journal(folder, header, [])
            return cls(folder, header, files, [], rank=0, alone=world_size == 1)
        except BaseException:
            files.close()
            raise

    @classmethod
    def resume(cls, folder: Path, header: JournalHeader, world_size: int) -> UnfinishedSet:
        """Open the unfinished set on disk, keeping the batches whose checksums match."""
        move_back(folder)
        files = LayerFiles(folder, header.layout, header.places)
        try:
            files.make()
            lines = read_lines(folder)
            intact = _intact_lines(files, lines, header)
            write_journal(folder, header, intact)
            opened = cls(folder, header, files, intact, rank=0, alone=world_size == 1)
        except BaseException:
            files.close()
            raise
        opened.damaged_batches = len(complete_batches(lines, header.places) - opened.complete_batches)
        return opened

    @classmethod
    def join(cls, folder: Path, header: JournalHeader, rank: int, world_size: int) -> UnfinishedSet:
        """Open the set that rank 0 made or resumed in this run; its journal is trusted."""
        files = LayerFiles(folder, header.layout, header.places)
        files.open()
        return cls(folder, header, files, read_lines(folder), rank=rank, alone=world_size == 1)

    def write(self, batch: RowBatch) -> None:
        """Queue a batch without the sites and layers that were found complete. Raises ShapeError if it was queued before."""
        again = self._written.setdefault(batch.number, set()) & set(batch.tensors)
        if again:
            raise ShapeError(f"batch {batch.number}, {min(again).words} is written already")
        batch = batch.without(self._found.get(batch.number, set()))
        if not batch.tensors:
            return
        self._queue.put(lambda: self._write(batch), batch.nbytes)
        self._written[batch.number] |= set(batch.tensors)

    def _write(self, batch: RowBatch) -> None:
        crc = {place: self._files.write(place, batch.ranges, batch.data(place)) for place in batch.tensors}
        if self._digests is not None:
            self._digests.add(crc, batch.ranges)  # refuses a row that another batch wrote
        self._journal.append(batch.number, batch.ranges, crc)
        self._flusher.wrote(batch.nbytes)

    def flush(self, *, to_disk: bool) -> None:
        """Wait until everything queued is in the files. Raises the error of a write or a flush that failed."""
        self._queue.drain()
        self._flusher.check()
        if to_disk:
            for place in self._files.places:
                self._files.flush(place)

    def complete(self, lines: Iterable[JournalLine]) -> dict[SiteLayer, str]:
        """Complete the files and return their SHA-256 by site and layer. lines: those of all ranks' journals.

        Raises CorruptSetError if rows are missing, ShapeError if a row was written twice.
        """
        self._flusher.stop()
        self._flusher.check()
        digests = self._digests
        if digests is None:
            # Other machines' rows are seen for certain only in files that are opened after those were flushed.
            self._files.close()
            self._files.open()
            digests = SetDigests(self._files)
            for line in without_repeats(lines):
                digests.add(line.by_place, line.rows)
        return digests.complete()

    def close(self, *, quiet: bool) -> None:
        """Write what is queued and close everything. Raises the error of a write that failed, unless `quiet`."""
        self._queue.close()
        self._flusher.stop()
        if self._digests is not None:
            self._digests.stop()
        self._journal.close()
        try:
            if not quiet:
                self._queue.drain()
        finally:
            self._files.close()


def _intact_lines(files: LayerFiles, lines: list[JournalLine], header: JournalHeader) -> list[JournalLine]:
    """The lines, without the batches, sites and layers whose rows in the files do not have the noted checksum; none twice."""
    lines = [line for line in lines if 0 <= line.batch < header.n_batches]
    passed: set[tuple[int, SiteLayer]] = set()

    with Bar("checking what is written", len(header.places)) as bar, ThreadPoolExecutor(_CHECKING_THREADS) as pool:

        def check(place: SiteLayer) -> set[tuple[int, SiteLayer]]:
            noted = [(number, line.rows, line.by_place.get(place)) for number, line in enumerate(lines)]
            here = [(number, rows, crc) for number, rows, crc in noted if crc is not None]
            return {(number, place) for number, rows, crc in here if files.crc(place, rows) == crc}

        for found in pool.map(check, header.places):
            passed |= found
            bar.advance()
    checked = [
        line.keeping({place for place in line.by_place if (number, place) in passed})
        for number, line in enumerate(lines)
    ]
    return without_repeats(checked)
