"""The payload files of an unfinished set: made whole from the start, rows written to and read from their places."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from repdrift.stores.disk import (
    free_bytes,
    is_full,
    is_quota,
    not_enough_space,
    read_into,
    reserve,
    space_taken,
    sync_folder,
    write_at,
    writing,
)
from repdrift.stores.names import PARTIAL_FOLDER, layer_name
from repdrift.stores.payload import PayloadLayout
from repdrift.stores.row_runs import Runs

_READ_BYTES = 4 << 20


class LayerFiles:
    """One open file a layer, in `.partial` of the set's folder. Reading and writing may happen on several threads."""

    def __init__(self, folder: Path, layout: PayloadLayout, layers: Sequence[int]) -> None:
        self.layout = layout
        self.layers = list(layers)
        self._folder = folder / PARTIAL_FOLDER
        self._open: dict[int, int] = {}

    def path(self, layer: int) -> Path:
        """Where a layer's file lies while the set is unfinished."""
        return self._folder / layer_name(layer, self.layout.payload)

    def descriptor(self, layer: int) -> int:
        """The open file of a layer."""
        return self._open[layer]

    def make(self) -> None:
        """Open the files and give each its final size, its space reserved, and its head; rows that are there stay.

        Raises StorageError naming the bytes needed and free if they do not fit; files that this call made are then removed.
        """
        taken = sum(space_taken(path) for path in map(self.path, self.layers) if path.exists())
        free = free_bytes(self._folder)
        made: list[Path] = []
        for layer in self.layers:
            path = self.path(layer)
            with writing(path):
                if not path.exists():
                    made.append(path)
                self._open[layer] = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    self._make_whole(self._open[layer])
                except OSError as error:
                    if not is_full(error):
                        raise
                    self.close()
                    for other in made:
                        other.unlink()
                    needed = self.layout.total_bytes * len(self.layers)
                    raise not_enough_space(self._folder.parent, needed, free + taken, quota=is_quota(error)) from error
        sync_folder(self._folder)

    def _make_whole(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size != self.layout.total_bytes:
            os.ftruncate(descriptor, min(os.fstat(descriptor).st_size, self.layout.total_bytes))
            reserve(descriptor, self.layout.total_bytes)
        write_at(descriptor, memoryview(self.layout.head), 0)

    def open(self) -> None:
        """Open the files that another rank made."""
        for layer in self.layers:
            with writing(self.path(layer)):
                self._open[layer] = os.open(self.path(layer), os.O_RDWR)

    def write(self, layer: int, runs: Runs, data: memoryview) -> int:
        """Write rows, whose bytes are `data` in ascending order, to their places; returns the CRC-32 of `data`."""
        size, start = self.layout.row_bytes, 0
        with writing(self.path(layer)):
            for row, count in runs:
                write_at(self._open[layer], data[start : start + count * size], self.layout.offset(row))
                start += count * size
        return zlib.crc32(data)

    def crc(self, layer: int, runs: Runs) -> int | None:
        """CRC-32 of rows as they are in the file; None if the file ends before them or has no such rows."""
        size, crc = self.layout.row_bytes, 0
        longest = max((count for _, count in runs), default=0)
        buffer = memoryview(bytearray(max(1, min(longest * size, _READ_BYTES))))
        for row, count in runs:
            if row < 0 or count < 1 or row + count > self.layout.rows:
                return None
            place, end = self.layout.offset(row), self.layout.offset(row + count)
            while place < end:
                chunk = buffer[: end - place]
                if read_into(self._open[layer], chunk, place) != len(chunk):
                    return None
                crc = zlib.crc32(chunk, crc)
                place += len(chunk)
        return crc

    def flush(self, layer: int) -> None:
        """Send a layer's file to the disk."""
        with writing(self.path(layer)):
            os.fsync(self._open[layer])

    def close(self) -> None:
        """Close every file."""
        while self._open:
            os.close(self._open.popitem()[1])
