"""Checks an exported study, packed or unpacked, against its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.core.fingerprint import file_sha256
from repdrift.core.reading import files_below, reading_errors
from repdrift.core.records.export import ANALYSIS_PART, MANIFEST_FILE, ExportManifest
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.sharing.archive_reading import open_export


@dataclass(frozen=True)
class CheckedExport:
    """An exported study that was checked. files: how many it holds. faults: sentences."""

    files: int
    faults: list[str]


def check_archive(path: Path) -> CheckedExport:
    """Checks every file of an archive against its checksum, and its tables against its results. Raises DataError if it cannot be opened as an export."""
    with open_export(path) as archive:
        faults: list[str] = []
        results: bytes | None = None
        for name in archive.manifest.files:
            try:
                content = archive.read(name)
            except DataError as error:
                faults.append(str(error))
                continue
            if name == f"{ANALYSIS_PART}/{RESULTS_FILE}":
                results = content
        if results is not None:
            faults += _tables(results, archive.manifest, str(path))
        return CheckedExport(len(archive.manifest.files), faults)


def check_unpacked(folder: Path) -> CheckedExport:
    """Checks the files of an unpacked export against its manifest. Files that it does not name are not looked at. Raises DataError without a manifest."""
    manifest = ExportManifest.read(folder / MANIFEST_FILE)
    there = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    faults: list[str] = []
    for name, expected in manifest.files.items():
        path = there.get(name)
        if path is None:
            faults.append(f"{folder / name} is in the manifest and not there. Unpack the archive again.")
            continue
        with reading_errors(path):
            if file_sha256(path) != expected.sha256:
                faults.append(f"{path} was changed after it was exported. Unpack the archive again.")
    results = there.get(f"{ANALYSIS_PART}/{RESULTS_FILE}")
    if results is not None and not faults:
        with reading_errors(results):
            faults += _tables(results.read_bytes(), manifest, str(folder))
    return CheckedExport(len(manifest.files), faults)


def _tables(results: bytes, manifest: ExportManifest, where: str) -> list[str]:
    """Faults between the results and the checksums that they have of their tables."""
    try:
        record = DriftResults.parse(results, f"{where}: {RESULTS_FILE}")
    except DataError as error:
        return [str(error)]
    known = {name: manifest.files.get(f"{ANALYSIS_PART}/{name}") for name in record.table_sha256}
    return [
        f"{where}: {name} is not the table that the results were written with. Export the study again."
        for name, digest in record.table_sha256.items()
        if (file := known[name]) is None or file.sha256 != digest
    ]
