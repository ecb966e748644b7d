"""The main results as a table for a paper or a pull request: LaTeX, Markdown, or exact values as csv.

contents      what a table holds; study_table and comparison_table make it from results
latex, markdown, exact   write it
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.fingerprint import open_regular
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.core.records.results import RESULTS_FILE
from repdrift.core.shared_paths import shareable
from repdrift.report.report_data import read_report_data
from repdrift.report.tables.chosen import TableOptions
from repdrift.report.tables.comparison_table import comparison_table
from repdrift.report.tables.contents import ResultsTable
from repdrift.report.tables.exact import exact_csv
from repdrift.report.tables.latex import latex
from repdrift.report.tables.markdown import markdown
from repdrift.report.tables.shared_notes import with_shared_below
from repdrift.report.tables.study_table import study_table

__all__ = ["Axis", "TableFormat", "TableOptions", "main_table", "table_text"]

TableFormat = Literal["latex", "markdown", "csv"]
Axis = Literal["tasks", "arms", "layers", "models", "numbers"]
_FOLDERS = ("", "drift_analysis", "results/drift_analysis")
MOST_DIGITS = 6


def table_text(
    results: str | Path,
    format: TableFormat = "markdown",  # noqa: A002  the name that the command line has
    *,
    rows: str = "",
    columns: str = "",
    show: Sequence[str] = (),
    measure: str = "",
    layers: Sequence[int] = (),
    digits: int = 2,
    caption: str = "",
    label: str = "",
) -> str:
    """Returns the main results of an analysis or a comparison as LaTeX, Markdown or csv.

    results: drift_analysis_results.json, comparison.json, or a folder with one of them. rows, columns: tasks, arms, layers, and across also
    numbers; of a comparison models, layers and numbers. show: drift, reduction, p, equal-skill, score, forgetting; of a comparison drift, most, noise,
    classes, loss, forgetting; those that the results have by default, without p. measure: another one than the study's primary measure. digits: significant
    digits of an estimate, 1 to 6; csv has exact values. Raises DataError for results that cannot be read, ConfigError and UnknownNameError for what
    they do not have.
    """
    if format not in ("latex", "markdown", "csv"):
        raise ConfigError(f"a table is written as latex, markdown or csv; got {format!r}.")
    if not 1 <= digits <= MOST_DIGITS:
        raise ConfigError(f"digits lie between 1 and {MOST_DIGITS}; got {digits}.")
    options = TableOptions(rows, columns, show, measure, layers, digits, caption, label)
    table = main_table(Path(results), options)
    if format == "csv":
        return exact_csv(table)
    shown = with_shared_below(table)
    return latex(shown, digits) if format == "latex" else markdown(shown, digits)


def main_table(results: Path, options: TableOptions) -> ResultsTable:
    """Returns the table of an analysis or a comparison, before it is written as anything. Raises as `table_text` does."""
    file = _results_file(results)
    if _is_comparison(file):
        return comparison_table(shareable(Comparison.read(file)), options)
    return study_table(read_report_data(file), options)


def _results_file(path: Path) -> Path:
    """The results file that a path names, or that its folder holds. Raises DataError, which says what was looked for."""
    if path.is_dir():
        wanted = [path / folder / RESULTS_FILE for folder in _FOLDERS] + [path / COMPARISON_FILE]
        found = [file for file in wanted if file.is_file()]
        if not found:
            raise DataError(
                f"the folder {path} holds neither {RESULTS_FILE} nor {COMPARISON_FILE}. `repdrift analyze` writes the one, `repdrift compare` the "
                "other: name the file, or its folder."
            )
        return found[0]
    if not path.is_file():
        raise DataError(
            f"no results at {path}: it {why_absent(path)}. Name what `repdrift analyze` or `repdrift compare` wrote, its folder, or a study."
        )
    return path


def _is_comparison(file: Path) -> bool:
    """Tells whether a file is of a comparison. Raises DataError if it is no JSON object."""
    with reading_errors(file), open_regular(file) as stream:
        text = stream.read()
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON ({error}). Name {RESULTS_FILE} or {COMPARISON_FILE}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no results: expected what `repdrift analyze` or `repdrift compare` wrote.")
    entries = cast("dict[str, object]", content)
    return "models" in entries and "base_layers" in entries
