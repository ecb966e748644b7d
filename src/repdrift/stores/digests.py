"""SHA-256 of the layers' files, taken behind the writer while it writes, so that little is left at the end."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from repdrift.core.errors import CorruptSetError
from repdrift.stores.disk import read_into, write_at, writing
from repdrift.stores.layer_files import LayerFiles
from repdrift.stores.row_runs import Frontier, Runs

_CHUNK_BYTES = 4 << 20
_WORKERS_AT_THE_END = 4


class _FileDigest:
    """SHA-256 of one file so far, and CRC-32 of its rows so far."""

    def __init__(self, files: LayerFiles, layer: int) -> None:
        self._files, self._layer = files, layer
        self._sha = hashlib.sha256(files.layout.head)
        self._crc = 0
        self.row = 0
        """The first row that is not taken in."""

    def follow(self, until: int, buffer: memoryview) -> None:
        """Take in the rows up to `until`, read back through `buffer`, which holds a row at least."""
        layout, descriptor = self._files.layout, self._files.descriptor(self._layer)
        at_once = len(buffer) // layout.row_bytes
        while self.row < until:
            count = min(at_once, until - self.row)
            chunk = buffer[: count * layout.row_bytes]
            if read_into(descriptor, chunk, layout.offset(self.row)) != len(chunk):
                raise CorruptSetError(f"{self._files.path(self._layer)} became shorter while it was written")
            self._sha.update(chunk)
            self._crc = zlib.crc32(chunk, self._crc)
            self.row += count

    def complete(self) -> str:
        """Take in what is left, write the tail, flush the file to the disk; returns the SHA-256, hexadecimal."""
        layout, descriptor = self._files.layout, self._files.descriptor(self._layer)
        self.follow(layout.rows, memoryview(bytearray(max(_CHUNK_BYTES, layout.row_bytes))))
        tail = layout.tail(self._crc)
        with writing(self._files.path(self._layer)):
            write_at(descriptor, memoryview(tail), layout.offset(layout.rows))
        self._files.flush(self._layer)
        self._sha.update(tail)
        return self._sha.hexdigest()


class SetDigests:
    """Digests of all files of an unfinished set. With start(), a thread follows the rows as add() tells of them."""

    def __init__(self, files: LayerFiles) -> None:
        self._files = files
        self._frontiers = {layer: Frontier() for layer in files.layers}
        self._digests = {layer: _FileDigest(files, layer) for layer in files.layers}
        self._closed = False
        self._error: BaseException | None = None
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._least_rows = max(1, _CHUNK_BYTES // files.layout.row_bytes)

    def add(self, layers: Iterable[int], runs: Runs) -> None:
        """Note that these rows of these layers are in the files. Raises ShapeError if one was there before."""
        with self._change:
            for layer in layers:
                self._frontiers[layer].add(runs)
            self._change.notify()

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._work, name="repdrift-digest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what it has taken in stays."""
        with self._change:
            self._closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join()

    def complete(self) -> dict[int, str]:
        """Finish every file (see `_FileDigest.complete`) and return its SHA-256 by layer.

        Raises CorruptSetError if rows are missing.
        """
        self.stop()
        if self._error is not None:
            raise self._error
        for layer, frontier in self._frontiers.items():
            if frontier.row != self._files.layout.rows:
                raise CorruptSetError(
                    f"layer {layer}: row {frontier.row} of {self._files.layout.rows} was in no batch. "
                    "The batches should cover every row once."
                )
        with ThreadPoolExecutor(min(_WORKERS_AT_THE_END, len(self._digests))) as pool:
            done = pool.map(_FileDigest.complete, self._digests.values())
            return dict(zip(self._digests, done, strict=True))

    def _work(self) -> None:
        buffer = memoryview(bytearray(max(_CHUNK_BYTES, self._files.layout.row_bytes)))
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._closed or self._longest()[0] >= self._least_rows)
                    if self._closed:
                        return
                    layer = self._longest()[1]
                digest = self._digests[layer]
                digest.follow(min(self._frontiers[layer].row, digest.row + self._least_rows), buffer)
        except BaseException as error:  # raised again by complete()
            self._error = error

    def _longest(self) -> tuple[int, int]:
        """How many rows wait in the layer where most do, and that layer."""
        return max((self._frontiers[layer].row - self._digests[layer].row, layer) for layer in self._digests)
