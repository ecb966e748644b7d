"""Results by what their user names, opened for reading: a study, its folder, its exported archive, or a comparison."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import DataError, MissingRunError, RepdriftError
from repdrift.core.reading import reading_errors
from repdrift.core.records.base import LARGEST_BYTES
from repdrift.core.records.comparison import COMPARISON_FILE
from repdrift.core.records.export import ANALYSIS_PART
from repdrift.core.records.results import RESULTS_FILE, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.sharing.archive_reading import is_archive, open_export
from repdrift.sharing.found_results import results_file_at

COMPRESSED = f"{RESULTS_FILE}.gz"
"""A results file where room is scarce, as in a repository."""


@dataclass(frozen=True)
class OpenedResults:
    """A results file that can be read for as long as the block lasts that opened it."""

    file: Path

    @property
    def folder(self) -> Path:
        """The folder of the results and their tables."""
        return self.file.parent

    @property
    def is_comparison(self) -> bool:
        """True for a comparison, False for a study."""
        return self.file.name == COMPARISON_FILE


@contextmanager
def open_results(where: str) -> Generator[OpenedResults]:
    """Opens results. where: a folder, a results file, an exported archive, a study file, or a packaged study.

    A results file that lies compressed, as `COMPRESSED`, is unpacked with its tables beside it for the time being.

    Raises DataError if there are none, MissingRunError for a study that was not analysed, ConfigError for a study file that cannot be read.
    """
    path = Path(where).expanduser()
    if is_archive(path):
        with tempfile.TemporaryDirectory(prefix="repdrift-export-") as folder, open_export(path) as archive:
            archive.unpack(Path(folder), below=f"{ANALYSIS_PART}/")
            with _named(Path(folder), path, path):
                yield OpenedResults(results_file_at(Path(folder)))
        return
    if (packed := _compressed(path)) is not None:
        with unpacked_results(packed) as file:
            yield OpenedResults(file)
        return
    if path.exists() and path.suffix not in (".yaml", ".yml"):
        yield OpenedResults(results_file_at(path))
        return
    yield OpenedResults(_of_study(where, path))


@contextmanager
def unpacked_results(packed: Path) -> Generator[Path]:
    """A compressed results file, unpacked beside copies of its tables, for as long as the block lasts.

    Raises DataError if it is damaged, or larger than results can be.
    """
    with tempfile.TemporaryDirectory(prefix="repdrift-results-") as name:
        place = Path(name)
        with reading_errors(packed):
            try:
                with gzip.open(packed) as stream:
                    content = stream.read(LARGEST_BYTES + 1)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError(f"{packed} is damaged ({error}). Restore it from a copy.") from error
            if len(content) > LARGEST_BYTES:
                raise DataError(f"{packed} holds more than {LARGEST_BYTES:,} bytes, which no results file has.")
            (place / RESULTS_FILE).write_bytes(content)
        with _named(place, packed.parent, packed):
            told = DriftResults.read(place / RESULTS_FILE).table_sha256
            tables = {TABLE_PARQUET, TABLE_CSV, *(name for name in told if name and Path(name).name == name)}
            for beside in (packed.with_name(name) for name in sorted(tables)):
                with reading_errors(beside):
                    if beside.is_file():
                        shutil.copyfile(beside, place / beside.name)
            yield place / RESULTS_FILE


@contextmanager
def _named(place: Path, folder: Path, file: Path) -> Generator[None]:
    """Puts the name that the user knows in place of that of the unpacked file, which is gone when an error is read."""
    try:
        yield
    except RepdriftError as error:
        said = str(error).replace(str(place / RESULTS_FILE), str(file)).replace(str(place), str(folder))
        raise type(error)(said) from error


def _compressed(path: Path) -> Path | None:
    """The compressed results file that a path names, or that a folder holds in place of one; None if there is none."""
    if path.name == COMPRESSED and path.is_file():
        return path
    if path.is_dir() and (path / COMPRESSED).is_file() and not (path / RESULTS_FILE).is_file():
        return path / COMPRESSED
    return None


def _of_study(where: str, path: Path) -> Path:
    from repdrift.study.config import load_study, packaged_studies, packaged_study
    from repdrift.study.runs import ANALYSIS_FOLDER

    config = packaged_study(where) if where in packaged_studies() and not path.exists() else load_study(path)
    file = config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
    if not file.is_file():
        raise MissingRunError(
            f"the study {where} was not analysed: expected {file}. `repdrift analyze --config {where}` makes it."
        )
    return file
