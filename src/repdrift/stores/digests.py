"""SHA-256 of the files of a set, computed on a thread while they are being written, so that little is left at the end."""

from __future__ import annotations

import hashlib
import heapq
import threading
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from repdrift.core.errors import CorruptSetError, ShapeError
from repdrift.core.records.sites import SiteLayer
from repdrift.stores.disk import read_into, write_at, writing
from repdrift.stores.layer_files import LayerFiles
from repdrift.stores.row_batch import RowRange

_CHUNK_BYTES = 4 << 20
_THREADS_AT_THE_END = 4


class WrittenPrefix:
    """Counts the rows of a layer that are written without a gap, from row 0 on."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._beyond_a_gap: list[RowRange] = []

    def add(self, ranges: Iterable[RowRange]) -> None:
        """Note that these rows are written. Raises ShapeError if one was written before."""
        for written in ranges:
            heapq.heappush(self._beyond_a_gap, written)
        while self._beyond_a_gap and self._beyond_a_gap[0].first <= self.n_rows:
            first, count = heapq.heappop(self._beyond_a_gap)
            if first < self.n_rows:
                raise ShapeError(f"row {first} is written twice, by two batches")
            self.n_rows = first + count


class _FileDigest:
    """The SHA-256 of one file and the CRC-32 of its rows, up to row `n_rows`."""

    def __init__(self, files: LayerFiles, place: SiteLayer) -> None:
        self._files, self._place = files, place
        self._sha = hashlib.sha256(files.layout.head)
        self._crc = 0
        self.n_rows = 0

    def follow(self, until: int, buffer: memoryview) -> None:
        """Digest the rows up to row `until` (excluded), reading them back into `buffer`, which holds at least one row."""
        layout, descriptor = self._files.layout, self._files.descriptor(self._place)
        at_once = len(buffer) // layout.row_bytes
        while self.n_rows < until:
            count = min(at_once, until - self.n_rows)
            chunk = buffer[: count * layout.row_bytes]
            if read_into(descriptor, chunk, layout.offset(self.n_rows)) != len(chunk):
                raise CorruptSetError(f"{self._files.path(self._place)} became shorter while it was written")
            self._sha.update(chunk)
            self._crc = zlib.crc32(chunk, self._crc)
            self.n_rows += count

    def complete(self) -> str:
        """Digest the remaining rows, write the tail, flush the file to the disk; returns the SHA-256, hexadecimal."""
        layout, descriptor = self._files.layout, self._files.descriptor(self._place)
        self.follow(layout.n_rows, memoryview(bytearray(max(_CHUNK_BYTES, layout.row_bytes))))
        tail = layout.tail(self._crc)
        with writing(self._files.path(self._place)):
            write_at(descriptor, memoryview(tail), layout.offset(layout.n_rows))
        self._files.flush(self._place)
        self._sha.update(tail)
        return self._sha.hexdigest()


class SetDigests:
    """The digests of all files of an unfinished set. After start(), a thread digests the rows that add() reports."""

    def __init__(self, files: LayerFiles) -> None:
        self._files = files
        self._written = {place: WrittenPrefix() for place in files.places}
        self._digests = {place: _FileDigest(files, place) for place in files.places}
        self._closed = False
        self._error: BaseException | None = None
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._least_rows = max(1, _CHUNK_BYTES // files.layout.row_bytes)

    def add(self, places: Iterable[SiteLayer], ranges: Iterable[RowRange]) -> None:
        """Note that these rows of these places are in the files. Raises ShapeError if one was there before."""
        with self._change:
            for place in places:
                self._written[place].add(ranges)
            self._change.notify()

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="repdrift-digest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what it has digested is kept."""
        with self._change:
            self._closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join()

    def complete(self) -> dict[SiteLayer, str]:
        """Complete every file: digest the rest, write the tail, flush to the disk. Returns the SHA-256 by site and layer.

        Raises CorruptSetError if rows are missing, or the error that the thread met.
        """
        self.stop()
        if self._error is not None:
            raise self._error
        for place, written in self._written.items():
            if written.n_rows != self._files.layout.n_rows:
                raise CorruptSetError(
                    f"{place.words}: row {written.n_rows} of {self._files.layout.n_rows} was in no batch. "
                    "The batches should cover every row once."
                )
        with ThreadPoolExecutor(min(_THREADS_AT_THE_END, len(self._digests))) as pool:
            done = pool.map(_FileDigest.complete, self._digests.values())
            return dict(zip(self._digests, done, strict=True))

    def _work(self) -> None:
        buffer = memoryview(bytearray(max(_CHUNK_BYTES, self._files.layout.row_bytes)))
        try:
            while True:
                with self._change:
                    self._change.wait_for(
                        lambda: self._closed or self._waiting(self._place_behind()) >= self._least_rows
                    )
                    if self._closed:
                        return
                    place = self._place_behind()
                digest = self._digests[place]
                digest.follow(min(self._written[place].n_rows, digest.n_rows + self._least_rows), buffer)
        except BaseException as error:  # raised again by complete()
            self._error = error

    def _waiting(self, place: SiteLayer) -> int:
        """Rows of a file that are written and not digested."""
        return self._written[place].n_rows - self._digests[place].n_rows

    def _place_behind(self) -> SiteLayer:
        """The file where most rows wait."""
        return max(self._digests, key=lambda place: (self._waiting(place), place))
