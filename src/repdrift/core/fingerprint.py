"""Fingerprints: SHA-256 of files and of plain configuration."""

from __future__ import annotations

import errno
import hashlib
import json
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

_READ_BYTES = 1 << 22
_SETTLED_AFTER_NS = 100_000_000
"""A file that changed more recently may change again within one tick of the file system's clock."""
_known_sha256: dict[tuple[str, int, int, int, int, int], str] = {}


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
    """SHA-256 of a file, read once in a process for as long as its size and times of change stay the same.

    The time of change of the inode counts too, which no program can set back.
    """
    now = path.stat()
    stamp = (str(path.absolute()), now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    if stamp in _known_sha256:
        return _known_sha256[stamp]
    settled = abs(time.time_ns() - now.st_ctime_ns) > _SETTLED_AFTER_NS
    digest = file_sha256(path)
    if settled:
        _known_sha256[stamp] = digest
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
