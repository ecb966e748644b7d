"""The results file that a folder holds: of a study, or of a comparison."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.records.comparison import COMPARISON_FILE
from repdrift.core.records.results import RESULTS_FILE
from repdrift.core.words import listed

_PLACES = (".", "drift_analysis", "comparison", "results/drift_analysis", "results/comparison")
"""Folders below the one that is named in which the commands write by default."""


def results_file_at(path: Path) -> Path:
    """Returns the results file at `path`, which is such a file or a folder that holds one.

    Raises DataError if there are no results, or several.
    """
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
