"""Results by the folder in which a command left them: of a study, or of a comparison."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.core.records.results import RESULTS_FILE
from repdrift.core.words import listed
from repdrift.notebook.comparison_results import ComparisonResults
from repdrift.notebook.study_view import StudyResults, study_results

_PLACES = (".", "drift_analysis", "comparison", "results/drift_analysis", "results/comparison")
"""Folders below the one that is named in which the commands write by default."""


def load_results(path: str | Path) -> StudyResults | ComparisonResults:
    """Reads the results of a study or of a comparison.

    path: the folder of a study, of an analysis or of a comparison, or one of the files `drift_analysis_results.json` and
    `comparison.json`. Returns an object with the `record` and the tidy `table`, with `to_pandas`, `plot`, and a card for notebooks.
    Raises DataError if there are no results, or several; or if a file is damaged.
    """
    file = _file_of(Path(path).expanduser())
    if file.name == COMPARISON_FILE:
        return ComparisonResults(Comparison.read(file), file.parent)
    return study_results(file)


def _file_of(path: Path) -> Path:
    expected = f"expected a folder that holds {RESULTS_FILE} or {COMPARISON_FILE}, or one of these files"
    with reading_errors(path):
        if path.is_file():
            if path.name not in (RESULTS_FILE, COMPARISON_FILE):
                raise DataError(f"{path} is no results file of this name; {expected}.")
            return path
        if not path.is_dir():
            raise DataError(f"no results at {path}: it {why_absent(path)}; {expected}.")
        found = [file for place in _PLACES for name in (RESULTS_FILE, COMPARISON_FILE) if (file := path / place / name).is_file()]  # fmt: skip
    if not found:
        raise DataError(
            f"no results in {path}; {expected}. They are looked for in it and in {listed([place for place in _PLACES if place != '.'])} below it. "
            "`repdrift analyze` and `repdrift compare` write them."
        )
    if len(found) > 1:
        raise DataError(f"{path} holds several results: {listed([str(file) for file in found])}. Name one of them.")
    return found[0]
