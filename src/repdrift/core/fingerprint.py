"""Fingerprints: SHA-256 of files and of plain configuration."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_READ_BYTES = 1 << 22
_SETTLED_AFTER_NS = 100_000_000
"""A file that changed more recently may change again within one tick of the file system's clock."""
_known_sha256: dict[tuple[str, FileStamp], str] = {}


@dataclass(frozen=True)
class FileStamp:
    """A file as the file system tells it from another of its name, and from itself once it was changed.

    The time of change of the inode counts too, which no program can set back.
    """

    device: int
    number: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileStamp:
        """Returns the stamp of a file by what `stat` tells of it."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def is_settled(self) -> bool:
        """Tells whether the file's last change is so long ago that another one would have another time."""
        return abs(time.time_ns() - self.changed_ns) > _SETTLED_AFTER_NS


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading its bytes. Raises OSError if it is a folder, a pipe or a device: a pipe would never answer."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.ENXIO, "it is no regular file", str(path))
    return path.open("rb")  # which refuses a folder


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read in chunks; hexadecimal.

    Raises OSError if the file cannot be read, or is not a regular file: a pipe would never end.
    """
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def unchanged_file_sha256(path: Path) -> str:
    """SHA-256 of a file, read once in a process for as long as its stamp stays the same."""
    stamp = FileStamp.of(path.stat())
    name = (str(path.absolute()), stamp)
    if name in _known_sha256:
        return _known_sha256[name]
    settled = stamp.is_settled()
    digest = file_sha256(path)
    if settled:
        _known_sha256[name] = digest
    return digest


def files_sha256(root: Path, paths: list[Path]) -> str:
    """SHA-256 over several files: each file's path below `root` and content digest, in sorted order.

    A file that does not change is read once in a process.
    """
    return joint_sha256({path.relative_to(root).as_posix(): unchanged_file_sha256(path) for path in sorted(paths)})


def joint_sha256(digests: Mapping[str, str]) -> str:
    """SHA-256 over several files, given the digest of each by its path, in the mapping's order."""
    joint = hashlib.sha256()
    for name, digest in digests.items():
        joint.update(f"{name}\0{digest}\n".encode())
    return joint.hexdigest()


def config_sha256(config: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON-able mapping; key order does not matter. NaN is refused."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
