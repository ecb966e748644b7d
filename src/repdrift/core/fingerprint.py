"""Fingerprints: SHA-256 of files and of plain configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_READ_BYTES = 1 << 22


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, read in chunks; hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def files_sha256(root: Path, paths: list[Path]) -> str:
    """SHA-256 over several files: each file's path below `root` and content digest, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def config_sha256(config: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON-able mapping; key order does not matter. NaN is refused."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
