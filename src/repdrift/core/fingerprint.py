"""Fingerprints: SHA-256 of files and of plain configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_READ_BYTES = 1 << 22
_known_sha256: dict[tuple[str, int, int, int, int], str] = {}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read in chunks; hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def unchanged_file_sha256(path: Path) -> str:
    """SHA-256 of a file, read once in a process for as long as its size and time of change stay the same."""
    stat = path.stat()
    stamp = (str(path.absolute()), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if stamp not in _known_sha256:
        _known_sha256[stamp] = file_sha256(path)
    return _known_sha256[stamp]


def files_sha256(root: Path, paths: list[Path]) -> str:
    """SHA-256 over several files: each file's path below `root` and content digest, in sorted order.

    A file that does not change is read once in a process.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0{unchanged_file_sha256(path)}\n".encode())
    return digest.hexdigest()


def config_sha256(config: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON-able mapping; key order does not matter. NaN is refused."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
