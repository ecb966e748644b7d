"""Results by what their user names, opened for reading: a study, its folder, its exported archive, or a comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import MissingRunError
from repdrift.core.records.comparison import COMPARISON_FILE
from repdrift.core.records.export import ANALYSIS_PART
from repdrift.core.records.results import RESULTS_FILE
from repdrift.sharing.archive_reading import is_archive, open_export
from repdrift.sharing.found_results import results_file_at


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

    Raises DataError if there are none, MissingRunError for a study that was not analysed, ConfigError for a study file that cannot be read.
    """
    path = Path(where).expanduser()
    if is_archive(path):
        with tempfile.TemporaryDirectory(prefix="repdrift-export-") as folder, open_export(path) as archive:
            archive.unpack(Path(folder), below=f"{ANALYSIS_PART}/")
            yield OpenedResults(results_file_at(Path(folder)))
        return
    if path.exists() and path.suffix not in (".yaml", ".yml"):
        yield OpenedResults(results_file_at(path))
        return
    yield OpenedResults(_of_study(where, path))


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
