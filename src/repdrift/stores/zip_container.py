"""A zip archive around one large entry, whose bytes the caller writes later and in any order.

The large entry comes last, and its CRC-32 follows it in a data descriptor (APPNOTE 4.3.9; torch.save does the same). So
every byte before the large entry is fixed from the start, and a digest of the file can be computed while the data grows.
zipfile cannot write such an archive: it writes an entry from its first byte to its last.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT_BYTES = 64
"""The large entry's data starts at a multiple of this; torch.save aligns storages so."""
ZIP64_FROM_BYTES = 0xFFFFFFFF
"""Sizes and offsets from here on do not fit into the plain fields of 32 bits."""

_DATE_1980_01_01 = 1 << 5 | 1
_HAS_DESCRIPTOR = 1 << 3
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_LOCAL, _CENTRAL, _DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08"
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ZIP64_FIELD, _PADDING_FIELD = 0x0001, 0x4246
"""Ids of extra fields: sizes of 64 bits, and torch's own padding ("FB")."""


@dataclass(frozen=True)
class _Entry:
    name: bytes
    offset: int
    crc: int
    size: int
    flags: int = 0

    @property
    def large(self) -> bool:
        return self.size >= ZIP64_FROM_BYTES

    @property
    def version(self) -> int:
        return _ZIP64_VERSION if self.large else _PLAIN_VERSION

    def central_record(self) -> bytes:
        size = 0xFFFFFFFF if self.large else self.size
        extra = struct.pack("<HHQQ", _ZIP64_FIELD, 16, self.size, self.size) if self.large else b""
        fields = (self.version, self.version, self.flags, 0, 0, _DATE_1980_01_01, self.crc, size, size)
        lengths_and_offset = (len(self.name), len(extra), 0, 0, 0, 0, self.offset)
        return _CENTRAL + struct.pack("<HHHHHHIIIHHHHHII", *fields, *lengths_and_offset) + self.name + extra


class ZipAround:
    """The head and the tail of an archive that holds `small` entries, then entry `name` of `data_bytes` bytes.

    The data of the large entry starts at len(head), a multiple of 64, and the tail follows it.
    """

    def __init__(self, small: Sequence[tuple[str, bytes]], name: str, data_bytes: int) -> None:
        head = bytearray()
        self._small: list[_Entry] = []
        for entry_name, content in small:
            entry = _Entry(entry_name.encode("ascii"), len(head), zlib.crc32(content), len(content))
            head += _local_header(entry, extra=b"") + content
            self._small.append(entry)
        self._last = _Entry(name.encode("ascii"), len(head), 0, data_bytes, _HAS_DESCRIPTOR)
        self.head = bytes(head + _local_header(self._last, extra=self._last_extra(len(head))))

    def _last_extra(self, start: int) -> bytes:
        extra = struct.pack("<HHQQ", _ZIP64_FIELD, 16, 0, 0) if self._last.large else b""
        before = start + 30 + len(self._last.name) + len(extra) + 4
        padding = -before % ALIGNMENT_BYTES
        return extra + struct.pack("<HH", _PADDING_FIELD, padding) + b"Z" * padding

    def tail(self, crc: int) -> bytes:
        """The descriptor, the central directory and the end of the archive, given the large entry's CRC-32.

        The length does not depend on `crc`.
        """
        size = self._last.size
        descriptor = _DESCRIPTOR + struct.pack("<IQQ" if self._last.large else "<III", crc, size, size)
        last = _Entry(self._last.name, self._last.offset, crc, size, self._last.flags)
        entries = [*self._small, last]
        directory = b"".join(entry.central_record() for entry in entries)
        start = len(self.head) + size + len(descriptor)
        return descriptor + directory + _end(len(entries), start, len(directory))


def _local_header(entry: _Entry, *, extra: bytes) -> bytes:
    # With a descriptor, CRC and sizes are zero here. The mark of zip64 says that the descriptor's sizes take 64 bits.
    if entry.flags & _HAS_DESCRIPTOR:
        crc, size = 0, 0xFFFFFFFF if entry.large else 0
    else:
        crc, size = entry.crc, entry.size
    fields = (entry.version, entry.flags, 0, 0, _DATE_1980_01_01, crc, size, size, len(entry.name), len(extra))
    return _LOCAL + struct.pack("<HHHHHIIIHH", *fields) + entry.name + extra


def _end(count: int, start: int, length: int) -> bytes:
    if start < ZIP64_FROM_BYTES:
        return _END + struct.pack("<HHHHIIH", 0, 0, count, count, length, start, 0)
    record = struct.pack("<QHHIIQQQQ", 44, _ZIP64_VERSION, _ZIP64_VERSION, 0, 0, count, count, length, start)
    locator = struct.pack("<IQI", 0, start + length, 1)
    plain = struct.pack("<HHHHIIH", 0, 0, count, count, length, 0xFFFFFFFF, 0)
    return _END64 + record + _LOCATOR64 + locator + _END + plain
