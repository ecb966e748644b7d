"""Reads exported studies. An archive comes from anywhere: names, sizes and checksums are checked before a byte is used."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from repdrift.core.atomic import atomic_path, storage_errors
from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.records.export import MANIFEST_FILE, ExportManifest
from repdrift.core.shown_text import for_terminal

MOST_FILES = 20_000
MOST_BYTES = 8 << 30
"""Unpacked bytes of an archive: far above a study of a thousand models."""
_MOST_MANIFEST_BYTES = 16 << 20
_MOST_TIMES = 1_100
"""Unpacked by packed bytes of one file. Deflate reaches 1032 at most."""
_LONGEST_NAME = 300
_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_AGAIN = "Fetch it again, or export the study again with `repdrift export`."


class ExportArchive:
    """An exported study, opened for reading. Made by `open_export`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, manifest: ExportManifest) -> None:
        self.path = path
        self.manifest = manifest
        self._archive = archive

    def read(self, name: str) -> bytes:
        """Returns the content of one file. Raises DataError if it is not in the archive, or differs from its checksum."""
        expected = self.manifest.files.get(name)
        if expected is None:
            raise DataError(f"{self.path} holds no {name}; it holds {len(self.manifest.files)} files. {_AGAIN}")
        try:
            content = _content(self._archive, name, expected.bytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise DataError(f"{self.path}: {name} cannot be unpacked ({error}). {_AGAIN}") from error
        if len(content) != expected.bytes or hashlib.sha256(content).hexdigest() != expected.sha256:
            raise DataError(
                f"{self.path}: {name} is not the file that was exported: expected {expected.bytes:,} bytes with SHA-256 "
                f"{expected.sha256[:16]}, got others. {_AGAIN}"
            )
        return content

    def unpack(self, folder: Path, *, below: str = "") -> list[Path]:
        """Writes the files whose paths begin with `below` to `folder`, each checked first; returns their paths. Raises DataError, StorageError."""
        written: list[Path] = []
        for name in self.manifest.files:
            if name.startswith(below):
                target = folder / PurePosixPath(name)
                content = self.read(name)
                with atomic_path(target) as temporary, storage_errors(target):
                    temporary.write_bytes(content)
                written.append(target)
        return written


@contextmanager
def open_export(path: Path) -> Generator[ExportArchive]:
    """Opens an exported study and checks its names, sizes and manifest; contents are checked when they are read.

    Raises DataError if it is no archive that `repdrift export` wrote, is not complete, or holds what no export holds: names that
    lead out of the folder, links, files twice, files that are not in the manifest, or more than the limits.
    """
    with reading_errors(path):
        if not path.is_file():
            found = "is a folder" if path.is_dir() else why_absent(path)
            raise DataError(f"no exported study at {path}: it {found}. `repdrift export STUDY {path.name}` writes one.")
        try:
            archive, archive_bytes = zipfile.ZipFile(path), path.stat().st_size
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(f"{path} is no zip archive, or is not complete ({error}). {_AGAIN}") from error
    with archive:
        entries = archive.infolist()
        if fault := _fault(entries, archive_bytes):
            raise DataError(f"{path} is refused: {fault}. {_AGAIN}")
        manifest = _manifest(path, archive, entries)
        names = {entry.filename for entry in entries} - {MANIFEST_FILE}
        if names != set(manifest.files):
            raise DataError(f"{path} is refused: {_differing(names, set(manifest.files))}. {_AGAIN}")
        sizes = {entry.filename: entry.file_size for entry in entries}
        for name, expected in manifest.files.items():
            if sizes[name] != expected.bytes:
                raise DataError(
                    f"{path}: {_shown(name)} has {sizes[name]:,} bytes, expected {expected.bytes:,}. {_AGAIN}"
                )
        yield ExportArchive(path, archive, manifest)


def is_archive(path: Path) -> bool:
    """Tells whether `path` is a file that is called a zip archive."""
    return path.suffix.lower() == ".zip" and path.is_file()


def _manifest(path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> ExportManifest:
    last = max(entries, key=lambda entry: entry.header_offset, default=None)
    if last is None or last.filename != MANIFEST_FILE:
        raise DataError(
            f"{path} is no exported study: its last file should be {MANIFEST_FILE}, got "
            f"{'none' if last is None else _shown(last.filename)}. `repdrift export STUDY {path.name}` writes one."
        )
    try:
        text = _content(archive, MANIFEST_FILE, _MOST_MANIFEST_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: {MANIFEST_FILE} cannot be unpacked ({error}). {_AGAIN}") from error
    return ExportManifest.parse(text, f"{path}: {MANIFEST_FILE}")


def _fault(entries: list[zipfile.ZipInfo], archive_bytes: int) -> str | None:
    """Says what no exported study has; None if the entries can be read."""
    if len(entries) > MOST_FILES:
        return f"it holds {len(entries):,} files; an export has {MOST_FILES:,} at most"
    total, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if total > MOST_BYTES:
        return f"it would unpack to {total:,} bytes; an export has {MOST_BYTES:,} at most"
    if packed > archive_bytes:
        return "its files overlap"
    for entry in entries:
        if fault := _name_fault(entry.orig_filename) or _entry_fault(entry):
            return f"file {_shown(entry.filename)} {fault}"
    return _collision([entry.filename for entry in entries])


def _collision(names: list[str]) -> str | None:
    """Says which names would be one file, or a file and a folder; on Windows and macOS case makes no difference."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return f"file {_shown(name)} stands in it twice"
        seen.add(name.casefold())
    for name in names:
        if any(str(parent) in seen for parent in PurePosixPath(name.casefold()).parents):
            return f"file {_shown(name)} lies below another file"
    return None


def _name_fault(name: str) -> str | None:
    parts = name.split("/")
    if not name or len(name) > _LONGEST_NAME:
        return f"has a name of {len(name)} characters"
    if "\\" in name or ":" in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        return "has a character in its name that no export has"
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "has a name that leads out of the folder, or is no file's"
    return None


def _entry_fault(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or another special file"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in _METHODS:
        return f"is packed by method {entry.compress_type}, expected stored or deflated"
    if entry.file_size > _MOST_TIMES * max(entry.compress_size, 1):
        return f"would unpack to {entry.file_size:,} bytes out of {entry.compress_size:,}"
    return None


def _content(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Returns the bytes of a file, at most `most`. Raises ValueError if there are more."""
    parts: list[bytes] = []
    size = 0
    with reading_errors(Path(archive.filename or name)), archive.open(name) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise ValueError(f"more than {most:,} bytes")
            parts.append(chunk)
    return b"".join(parts)


def _differing(there: set[str], listed: set[str]) -> str:
    more, fewer = sorted(there - listed), sorted(listed - there)
    if fewer:
        return f"{_shown(fewer[0])} is in its manifest and not in the archive"
    return f"{_shown(more[0])} is in the archive and not in its manifest"


def _shown(name: str) -> str:
    return repr(for_terminal(name[:100]))
