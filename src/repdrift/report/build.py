"""Draws all figures and writes the page of one analysis into one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from repdrift.core.atomic import require_writable, storage_errors, write_together
from repdrift.core.errors import StorageError
from repdrift.core.learnt_words import judged_models, learnt_footnote
from repdrift.core.progress import track
from repdrift.report.figures import FigureSpec, figures
from repdrift.report.page import page_html
from repdrift.report.page.study import FigureFile, study_page
from repdrift.report.report_data import ReportData, read_report_data
from repdrift.report.style import GREY, NOTE_PT, png_and_pdf

DASHBOARD_FILE = "dashboard.html"


@dataclass(frozen=True)
class ReportFiles:
    """The files that were written."""

    written: list[Path]
    dashboard: Path


def visualize(results_file: Path, output_dir: Path) -> ReportFiles:
    """Draw every figure (PNG and PDF) of `results_file` into `output_dir`, and write the page that is read in a browser beside them.

    The tidy table must lie beside the results. All files are drawn before the first one is written, and no file gets its
    final name before all are on the disk. Figures of an earlier analysis that this one does not have are deleted.
    Raises DataError if results or table are missing or malformed, StorageError if the folder cannot be written.
    """
    data = read_report_data(results_file)
    if output_dir.exists() and not output_dir.is_dir():
        raise StorageError(
            f"cannot write figures to {output_dir}: it is a file. Remove it, or name a folder: "
            "repdrift visualize --output-dir FOLDER"
        )
    require_writable(output_dir)
    specs = [spec for spec in figures() if spec.possible(data)]
    drawn: list[FigureFile] = []
    files: dict[str, bytes] = {DASHBOARD_FILE: b""}  # the first file gets its name last, when its figures are there
    for spec in track(specs, what="drawing", total=len(specs)):
        png, pdf = draw(spec, data)
        of_figure = {f"{spec.name}.png": png, f"{spec.name}.pdf": pdf}
        files |= of_figure
        drawn.append(FigureFile(spec.title, spec.caption(data), spec.describe(data), list(of_figure)))
    files[DASHBOARD_FILE] = page_html(study_page(data, drawn)).encode()
    write_together(output_dir, files)
    stale = [f"{spec.name}.{kind}" for spec in figures() if spec not in specs for kind in ("png", "pdf")]
    for path in (output_dir / name for name in stale):
        with storage_errors(path):
            path.unlink(missing_ok=True)
    return ReportFiles([output_dir / name for name in files], output_dir / DASHBOARD_FILE)


def draw(spec: FigureSpec, data: ReportData) -> tuple[bytes, bytes]:
    """Returns one figure as PNG and as PDF. Below it stands how many models have not learnt their task, if there are any."""
    caution = learnt_footnote(judged_models(data.results.runs))

    def with_caution() -> Figure:
        figure = spec.draw(data)
        if caution is not None:
            axis = figure.get_supxlabel()
            figure.supxlabel(f"{axis}\n{caution}" if axis else caution, fontsize=NOTE_PT, color=GREY)
        return figure

    return png_and_pdf(with_caution)
