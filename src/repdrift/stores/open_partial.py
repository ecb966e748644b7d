"""An unfinished set, open for writing: its files, this rank's journal, and the threads that write and digest."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repdrift.core.errors import ShapeError
from repdrift.core.progress import Bar
from repdrift.stores.background import BackgroundQueue
from repdrift.stores.digests import SetDigests
from repdrift.stores.flusher import Flusher
from repdrift.stores.layer_files import LayerFiles
from repdrift.stores.partial import Journal, JournalLine, PartialHeader, done_batches, read_lines, write_journal
from repdrift.stores.placed_batch import PlacedBatch
from repdrift.stores.placement import take_back

_CHECKERS = 4


class OpenPartial:
    """Made by create(), resume() (rank 0) or join() (another rank)."""

    def __init__(
        self, folder: Path, header: PartialHeader, files: LayerFiles, lines: list[JournalLine], *, rank: int, alone: bool
    ) -> None:  # fmt: skip
        self.header = header
        self._files = files
        self._found: dict[int, set[int]] = {}
        self._written: dict[int, set[int]] = {}
        for line in lines:
            self._found.setdefault(line.batch, set()).update(line.crc)
        self._lines = lines
        # Rows of other ranks come into the files unseen, and from another machine late: then all is digested at the end.
        self._digests = SetDigests(files) if alone else None
        self._journal = Journal(folder, header, rank)
        self._flusher = Flusher(files)
        self._queue = BackgroundQueue("repdrift-write")
        if self._digests is not None:
            for line in lines:
                self._digests.add(line.crc, line.rows)
            self._digests.start()

    @classmethod
    def create(cls, folder: Path, header: PartialHeader, world_size: int) -> OpenPartial:
        """A new one, in a folder that holds none. The header is written last: with it, all files are there.

        Raises StorageError if there is not enough space.
        """
        files = LayerFiles(folder, header.layout, header.layers)
        try:
            files.make()
            write_journal(folder, header, [])
            return cls(folder, header, files, [], rank=0, alone=world_size == 1)
        except BaseException:
            files.close()
            raise

    @classmethod
    def resume(cls, folder: Path, header: PartialHeader, world_size: int) -> tuple[OpenPartial, int]:
        """The one on disk, with what has its checksums; and how many batches had not."""
        take_back(folder)
        files = LayerFiles(folder, header.layout, header.layers)
        try:
            files.make()
            lines = read_lines(folder)
            intact = _intact(files, lines, header)
            write_journal(folder, header, intact)
            opened = cls(folder, header, files, intact, rank=0, alone=world_size == 1)
        except BaseException:
            files.close()
            raise
        damaged = done_batches(lines, header.layers) - done_batches(intact, header.layers)
        return opened, len(damaged)

    @classmethod
    def join(cls, folder: Path, header: PartialHeader, rank: int, world_size: int) -> OpenPartial:
        """The one that rank 0 made or resumed in this run; its journal is trusted."""
        files = LayerFiles(folder, header.layout, header.layers)
        files.open()
        return cls(folder, header, files, read_lines(folder), rank=rank, alone=world_size == 1)

    def done(self) -> set[int]:
        """The batches that were complete when this was opened."""
        return done_batches(self._lines, self.header.layers)

    def found_in(self, layer: int) -> frozenset[int]:
        """The batches that were complete in one layer when this was opened."""
        return frozenset(batch for batch, layers in self._found.items() if layer in layers)

    def write(self, batch: PlacedBatch) -> None:
        """Queue a batch, less the layers in which it was found complete. Raises ShapeError if it was queued before."""
        again = self._written.setdefault(batch.number, set()) & set(batch.tensors)
        if again:
            raise ShapeError(f"batch {batch.number}, layer {min(again)} is written already")
        batch = batch.without(self._found.get(batch.number, set()))
        if not batch.tensors:
            return
        self._queue.put(lambda: self._write(batch), batch.nbytes)
        self._written[batch.number] |= set(batch.tensors)

    def _write(self, batch: PlacedBatch) -> None:
        crc = {layer: self._files.write(layer, batch.runs, batch.data(layer)) for layer in batch.tensors}
        if self._digests is not None:
            self._digests.add(crc, batch.runs)  # refuses a row that another batch wrote
        self._journal.append(batch.number, batch.runs, crc)
        self._flusher.wrote(batch.nbytes)

    def flush(self, *, to_disk: bool) -> None:
        """Wait until everything queued is in the files. Raises what went wrong."""
        self._queue.drain()
        self._flusher.check()
        if to_disk:
            for layer in self._files.layers:
                self._files.flush(layer)

    def complete(self, lines: Iterable[JournalLine]) -> dict[int, str]:
        """Finish the files, of which `lines` of all ranks tell what is there; returns their SHA-256 by layer."""
        self._flusher.stop()
        self._flusher.check()
        digests = self._digests
        if digests is None:
            # Other machines' rows are seen for certain only in files that are opened after those were flushed.
            self._files.close()
            self._files.open()
            digests = SetDigests(self._files)
            for line in _once(lines):
                digests.add(line.crc, line.rows)
        return digests.complete()

    def close(self, *, quiet: bool) -> None:
        """Write what is queued and close everything. Raises what went wrong with it unless `quiet`."""
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


def _once(lines: Iterable[JournalLine]) -> list[JournalLine]:
    """The lines, less what an earlier one says too."""
    seen: set[tuple[int, int]] = set()
    kept: list[JournalLine] = []
    for line in lines:
        crc = {layer: crc for layer, crc in line.crc.items() if (line.batch, layer) not in seen}
        seen |= {(line.batch, layer) for layer in crc}
        if crc:
            kept.append(line.model_copy(update={"crc": crc}))
    return kept


def _intact(files: LayerFiles, lines: list[JournalLine], header: PartialHeader) -> list[JournalLine]:
    """What `lines` tell of batches and layers whose rows have their checksums in the files; each once."""
    lines = [line for line in lines if 0 <= line.batch < header.n_batches]
    passed: set[tuple[int, int]] = set()

    with Bar("checking what is written", len(header.layers)) as bar, ThreadPoolExecutor(_CHECKERS) as pool:

        def check(layer: int) -> set[tuple[int, int]]:
            here = [(number, line) for number, line in enumerate(lines) if layer in line.crc]
            return {(number, layer) for number, line in here if files.crc(layer, line.rows) == line.crc[layer]}

        for found in pool.map(check, header.layers):
            passed |= found
            bar.advance()
    checked = [
        line.model_copy(update={"crc": {layer: crc for layer, crc in line.crc.items() if (number, layer) in passed}})
        for number, line in enumerate(lines)
    ]
    return _once(checked)
