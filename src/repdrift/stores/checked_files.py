"""Payload files that were checked against their checksums, each once in a process, before a number is made of them."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.errors import CorruptSetError
from repdrift.core.fingerprint import unchanged_file_sha256
from repdrift.core.refusals import refused_reading

REPAIR = "Run the same extract or pull command again: it makes the set anew."
"""The advice to a user whose set is damaged."""


def require_intact(path: Path, sha256: str, *, nbytes: int | None = None) -> None:
    """Checks a file's size and then its SHA-256. A file that did not change since its last check is not read again.

    nbytes: the file's size, if it is known beforehand. Raises CorruptSetError if the file is absent, cannot be read, or
    has another size or checksum.
    """
    try:
        size = path.stat().st_size
        if nbytes is not None and size != nbytes:
            raise CorruptSetError(f"{path} has {size:,} bytes, expected {nbytes:,}. {REPAIR}")
        actual = unchanged_file_sha256(path)
    except OSError as error:
        raise CorruptSetError(refused_reading(path, error, REPAIR)) from error
    if actual != sha256:
        raise CorruptSetError(
            f"{path} was changed after it was written: SHA-256 {actual[:12]}..., its metadata says {sha256[:12]}.... {REPAIR}"
        )
