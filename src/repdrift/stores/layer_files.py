"""The files of an unfinished set, one for each site and layer: made in full size from the start, then rows are written and read at any row."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from repdrift.core.records.sites import SiteLayer
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
from repdrift.stores.set_folder import UNFINISHED_FOLDER, place_name

_READ_BYTES = 4 << 20


class LayerFiles:
    """One open file for each site and layer, in `.partial` of the set's folder. Several threads may read and write at once."""

    def __init__(self, folder: Path, layout: PayloadLayout, places: Sequence[SiteLayer]) -> None:
        self.layout = layout
        self.places = list(places)
        self._folder = folder / UNFINISHED_FOLDER
        self._open: dict[SiteLayer, int] = {}

    def path(self, place: SiteLayer) -> Path:
        """The path of one file while the set is unfinished."""
        return self._folder / place_name(place, self.layout.payload)

    def descriptor(self, place: SiteLayer) -> int:
        """The file descriptor of one open file."""
        return self._open[place]

    def make(self) -> None:
        """Open the files, reserve their full size on the disk, and write their heads. Rows that are there stay.

        Raises StorageError with the bytes needed and free if they do not fit; files that this call made are then removed.
        """
        taken = sum(space_taken(path) for path in map(self.path, self.places) if path.is_file())
        free = free_bytes(self._folder)
        made: list[Path] = []
        for place in self.places:
            path = self.path(place)
            with writing(path):
                if path.is_symlink() or (path.exists() and not path.is_file()):
                    path.unlink()  # rows must not go through a link into a file elsewhere, nor into a pipe
                if not path.exists():
                    made.append(path)
                self._open[place] = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    self._make_full_size(self._open[place])
                except OSError as error:
                    if not is_full(error):
                        raise
                    self.close()
                    for other in made:
                        other.unlink()
                    needed = self.layout.total_bytes * len(self.places)
                    raise not_enough_space(self._folder.parent, needed, free + taken, quota=is_quota(error)) from error
        sync_folder(self._folder)

    def _make_full_size(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size != self.layout.total_bytes:
            os.ftruncate(descriptor, min(os.fstat(descriptor).st_size, self.layout.total_bytes))
            reserve(descriptor, self.layout.total_bytes)
        write_at(descriptor, memoryview(self.layout.head), 0)

    def open(self) -> None:
        """Open the files that another rank made."""
        for place in self.places:
            with writing(self.path(place)):
                self._open[place] = os.open(self.path(place), os.O_RDWR)

    def write(self, place: SiteLayer, ranges: Iterable[RowRange], data: memoryview) -> int:
        """Write these rows of one file and return their CRC-32. data: their bytes, rows in ascending order."""
        size, start = self.layout.row_bytes, 0
        with writing(self.path(place)):
            for first, count in ranges:
                write_at(self._open[place], data[start : start + count * size], self.layout.offset(first))
                start += count * size
        return zlib.crc32(data)

    def crc(self, place: SiteLayer, ranges: Sequence[RowRange]) -> int | None:
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
                if read_into(self._open[place], chunk, offset) != len(chunk):
                    return None
                crc = zlib.crc32(chunk, crc)
                offset += len(chunk)
        return crc

    def flush(self, place: SiteLayer) -> None:
        """Flush one file to the disk."""
        with writing(self.path(place)):
            os.fsync(self._open[place])

    def close(self) -> None:
        """Close every file."""
        while self._open:
            os.close(self._open.popitem()[1])
