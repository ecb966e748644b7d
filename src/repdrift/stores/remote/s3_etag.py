"""The ETag that S3 gives a file, computed on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from repdrift.core.errors import StorageError
from repdrift.core.fingerprint import open_regular
from repdrift.core.reading import reading_errors

_PART_BYTES = 64 << 20
_MOST_PARTS = 9_000
"""S3 takes 10,000."""


def s3_part_bytes(nbytes: int) -> int:
    """The size of the parts in which a file of `nbytes` is sent: 64 MiB, or more where S3 would not take so many parts."""
    return max(_PART_BYTES, -(-nbytes // _MOST_PARTS))


def s3_etag(path: Path) -> str:
    """The ETag of a file sent in parts of `s3_part_bytes`, or of one part where it is smaller than two.

    One part: the MD5 of the content. Several: the MD5 of their MD5s, a dash, and their number. Buckets that encrypt with keys of
    their own give other ETags.
    """
    with reading_errors(path, StorageError):
        size = path.stat().st_size
        part = s3_part_bytes(size)
        digests: list[bytes] = []
        with open_regular(path) as stream:
            if size < 2 * part:
                return _md5(stream.read()).hexdigest()
            while content := stream.read(part):
                digests.append(_md5(content).digest())
    return f"{_md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def s3_etag_of(content: bytes) -> str:
    """The ETag of a small content."""
    return _md5(content).hexdigest()


def _md5(content: bytes) -> hashlib._Hash:
    return hashlib.md5(content, usedforsecurity=False)
