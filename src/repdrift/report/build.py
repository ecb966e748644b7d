"""All figures and the dashboard page of one analysis, into one folder."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repdrift.core.atomic import atomic_path, write_text
from repdrift.core.progress import track
from repdrift.report.dashboard import DrawnFigure, dashboard_html
from repdrift.report.figures import figures
from repdrift.report.style import DPI, paper_style
from repdrift.report.tables import ReportData, read_report_data

DASHBOARD_FILE = "dashboard.html"


@dataclass(frozen=True)
class ReportFiles:
    """What was written."""

    written: list[Path]
    dashboard: Path


def visualize(results_file: Path, output_dir: Path) -> ReportFiles:
    """Draw every figure (PNG and PDF) and the dashboard of `results_file` into `output_dir`.

    The tidy table is expected beside the results. Raises DataError if either is missing or malformed; then nothing is
    written.
    """
    data = read_report_data(results_file)
    specs = [spec for spec in figures() if not spec.needs_both_methods or _has_both_methods(data)]
    drawn: list[DrawnFigure] = []
    content: list[tuple[str, bytes]] = []
    for spec in track(specs, what="drawing", total=len(specs)):
        with paper_style():
            figure = spec.draw(data)
            png, pdf = _rendered(figure, "png"), _rendered(figure, "pdf")
        content += [(f"{spec.name}.png", png), (f"{spec.name}.pdf", pdf)]
        drawn.append(DrawnFigure(spec.name, spec.title, spec.caption(data), spec.describe(data), png))
    page = dashboard_html(data, drawn)
    written: list[Path] = []
    for name, payload in content:
        with atomic_path(output_dir / name) as temporary:
            temporary.write_bytes(payload)
        written.append(output_dir / name)
    dashboard = output_dir / DASHBOARD_FILE
    write_text(dashboard, page)
    return ReportFiles([*written, dashboard], dashboard)


def _rendered(figure: Figure, kind: str) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # Without the date in it, the same results give the same file.
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": "repdrift"}
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def _has_both_methods(data: ReportData) -> bool:
    return any(r.layer is None for r in data.results.reductions)
