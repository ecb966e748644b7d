"""Writes zip archives whose bytes follow from their content alone: no clock, no user, no order of a folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.records.export import MANIFEST_FILE, ExportedFile, ExportManifest

_DATE = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip archive can hold."""
_MODE = 0o100644
_LEVEL = 6


def listed_files(files: Mapping[str, bytes]) -> dict[str, ExportedFile]:
    """Returns size and checksum of each file, sorted by name."""
    return {
        name: ExportedFile(bytes=len(files[name]), sha256=hashlib.sha256(files[name]).hexdigest())
        for name in sorted(files)
    }


def write_archive(target: Path, files: Mapping[str, bytes], manifest: ExportManifest) -> int:
    """Writes `files` (path: content) and then the manifest to the zip archive `target`, whole or not at all; returns its bytes.

    Raises StorageError if it cannot be written; what was there before is then as it was.
    """
    with atomic_path(target) as temporary, storage_errors(target):
        with zipfile.ZipFile(temporary, "w") as archive:
            for name in sorted(files):
                _add(archive, name, files[name])
            _add(archive, MANIFEST_FILE, manifest.file_text().encode())
        return temporary.stat().st_size


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3  # Unix, on every system
    entry.external_attr = _MODE << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, _LEVEL)
