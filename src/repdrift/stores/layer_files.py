"""The layers' files of an unfinished set: made in full size from the start, then rows are written and read at any row."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
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
from repdrift.stores.payload import PayloadLayout
from repdrift.stores.row_batch import RowRange
from repdrift.stores.set_folder import UNFINISHED_FOLDER, layer_name

_READ_BYTES = 4 << 20


class LayerFiles:
    """One open file for each layer, in `.partial` of the set's folder. Several threads may read and write at once."""

    def __init__(self, folder: Path, layout: PayloadLayout, layers: Sequence[int]) -> None:
        self.layout = layout
        self.layers = list(layers)
        self._folder = folder / UNFINISHED_FOLDER
        self._open: dict[int, int] = {}

    def path(self, layer: int) -> Path:
        """The path of a layer's file while the set is unfinished."""
        return self._folder / layer_name(layer, self.layout.payload)

    def descriptor(self, layer: int) -> int:
        """The file descriptor of a layer's open file."""
        return self._open[layer]

    def make(self) -> None:
        """Open the files, reserve their full size on the disk, and write their heads. Rows that are there stay.

        Raises StorageError with the bytes needed and free if they do not fit; files that this call made are then removed.
        """
        taken = sum(space_taken(path) for path in map(self.path, self.layers) if path.is_file())
        free = free_bytes(self._folder)
        made: list[Path] = []
        for layer in self.layers:
            path = self.path(layer)
            with writing(path):
                if path.is_symlink() or (path.exists() and not path.is_file()):
                    path.unlink()  # rows must not go through a link into a file elsewhere, nor into a pipe
                if not path.exists():
                    made.append(path)
                self._open[layer] = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    self._make_full_size(self._open[layer])
                except OSError as error:
                    if not is_full(error):
                        raise
                    self.close()
                    for other in made:
                        other.unlink()
                    needed = self.layout.total_bytes * len(self.layers)
                    raise not_enough_space(self._folder.parent, needed, free + taken, quota=is_quota(error)) from error
        sync_folder(self._folder)

    def _make_full_size(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size != self.layout.total_bytes:
            os.ftruncate(descriptor, min(os.fstat(descriptor).st_size, self.layout.total_bytes))
            reserve(descriptor, self.layout.total_bytes)
        write_at(descriptor, memoryview(self.layout.head), 0)

    def open(self) -> None:
        """Open the files that another rank made."""
        for layer in self.layers:
            with writing(self.path(layer)):
                self._open[layer] = os.open(self.path(layer), os.O_RDWR)

    def write(self, layer: int, ranges: Iterable[RowRange], data: memoryview) -> int:
        """Write these rows of a layer and return their CRC-32. data: their bytes, rows in ascending order."""
        size, start = self.layout.row_bytes, 0
        with writing(self.path(layer)):
            for first, count in ranges:
                write_at(self._open[layer], data[start : start + count * size], self.layout.offset(first))
                start += count * size
        return zlib.crc32(data)

    def crc(self, layer: int, ranges: Sequence[RowRange]) -> int | None:
        """The CRC-32 of these rows as they are in the file; None if the file ends before them or has no such rows."""
        size, crc = self.layout.row_bytes, 0
        longest = max((count for _, count in ranges), default=0)
        buffer = memoryview(bytearray(max(1, min(longest * size, _READ_BYTES))))
        for first, count in ranges:
            if first < 0 or count < 1 or first + count > self.layout.n_rows:
                return None
            offset, end = self.layout.offset(first), self.layout.offset(first + count)
            while offset < end:
                chunk = buffer[: end - offset]
                if read_into(self._open[layer], chunk, offset) != len(chunk):
                    return None
                crc = zlib.crc32(chunk, crc)
                offset += len(chunk)
        return crc

    def flush(self, layer: int) -> None:
        """Flush a layer's file to the disk."""
        with writing(self.path(layer)):
            os.fsync(self._open[layer])

    def close(self) -> None:
        """Close every file."""
        while self._open:
            os.close(self._open.popitem()[1])
