"""Draws all figures and writes the page of one analysis into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.atomic import require_writable, storage_errors, write_together
from repdrift.core.errors import StorageError
from repdrift.core.progress import track
from repdrift.report.captions import CAPTIONS_FILE, captions_text
from repdrift.report.figure_files import caption_of, chosen_figures, chosen_formats, figure_files
from repdrift.report.figure_size import FigureSize
from repdrift.report.figures import figures
from repdrift.report.page import page_html
from repdrift.report.page.study import FigureFile, study_page
from repdrift.report.rendering import DEFAULT_FORMATS, FORMATS
from repdrift.report.report_data import read_report_data

DASHBOARD_FILE = "dashboard.html"


@dataclass(frozen=True)
class ReportFiles:
    """The files that were written. dashboard: the page; where figures are named it is left as it was, and may not be there."""

    written: list[Path]
    dashboard: Path


def visualize(
    results_file: Path,
    output_dir: Path,
    *,
    figure_names: Sequence[str] | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    size: FigureSize | None = None,
) -> ReportFiles:
    """Draw the figures of `results_file` into `output_dir`, and write their captions and the page that is read in a browser beside them.

    figure_names: draw these alone, and leave the page and all other files as they are. formats: of each figure (`png`, `pdf`, `svg`). size: width on
    paper, see `report.figure_size`. The tidy table must lie beside the results. All files are drawn before the first one is written, and no file gets
    its final name before all are on the disk. Figures of an earlier analysis that this one does not have are deleted.
    Raises DataError if results or table are missing or malformed, or cannot give a figure that is named; UnknownNameError for a figure or format that
    does not exist; StorageError if the folder cannot be written.
    """
    kinds = chosen_formats(formats)
    data = read_report_data(results_file)
    specs = chosen_figures(data, figure_names)
    if output_dir.exists() and not output_dir.is_dir():
        raise StorageError(
            f"cannot write figures to {output_dir}: it is a file. Remove it, or name a folder: "
            "repdrift visualize --output-dir FOLDER"
        )
    require_writable(output_dir)
    whole = figure_names is None
    drawn: list[FigureFile] = []
    # The first file gets its name last, when its figures are there.
    files: dict[str, bytes] = {DASHBOARD_FILE: b""} if whole else {}
    for spec in track(specs, what="drawing", total=len(specs)):
        of_figure = {f"{spec.name}.{kind}": content for kind, content in figure_files(spec, data, kinds, size).items()}
        files |= of_figure
        drawn.append(FigureFile(spec.title, caption_of(spec, data, size), spec.describe(data), list(of_figure)))
    files[CAPTIONS_FILE] = captions_text([spec for spec in figures() if spec.possible(data)], data, size).encode()
    if whole:
        files[DASHBOARD_FILE] = page_html(study_page(data, drawn)).encode()
    write_together(output_dir, files)
    every = {f"{spec.name}.{kind}" for spec in figures() for kind in FORMATS} if whole else set()
    stale = sorted(every - files.keys())
    for path in (output_dir / name for name in stale):
        with storage_errors(path):
            path.unlink(missing_ok=True)
    return ReportFiles([output_dir / name for name in files], output_dir / DASHBOARD_FILE)
