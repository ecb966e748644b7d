"""Results by the folder in which a command left them, or by the archive that `repdrift export` wrote: of a study, or of a comparison."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.core.records.export import ANALYSIS_PART
from repdrift.notebook.comparison_results import ComparisonResults
from repdrift.notebook.study_view import StudyResults, study_results
from repdrift.sharing.archive_reading import is_archive, open_export
from repdrift.sharing.found_results import results_file_at


def load_results(path: str | Path) -> StudyResults | ComparisonResults:
    """Reads the results of a study or of a comparison.

    path: the folder of a study, of an analysis or of a comparison, one of the files `drift_analysis_results.json` and
    `comparison.json`, or the archive of an exported study (`.zip`). Returns an object with the `record` and the tidy `table`, with
    `to_pandas`, `plot`, and a card for notebooks.
    Raises DataError if there are no results, or several; or if a file is damaged.
    """
    given = Path(path).expanduser()
    if is_archive(given):
        return _of_export(given)
    file = results_file_at(given)
    if file.name == COMPARISON_FILE:
        return ComparisonResults(Comparison.read(file), file.parent)
    return study_results(file)


def _of_export(path: Path) -> StudyResults:
    """The results in an archive. Their tables are unpacked to a folder of the system's, which goes when the results do."""
    folder = Path(tempfile.mkdtemp(prefix="repdrift-export-"))
    try:
        with open_export(path) as archive:
            archive.unpack(folder, below=f"{ANALYSIS_PART}/")
        found = study_results(results_file_at(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found
