"""Figures as files: PNG for screens, PDF and SVG for papers, each with its title and caption inside, the same bytes for the same results."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repdrift.report.figure_size import FigureSize
from repdrift.report.labels import one_line
from repdrift.report.style import paper_style
from repdrift.report.svg_fonts import with_fonts

Format = Literal["png", "pdf", "svg"]
Drawing = Callable[[], Figure]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_FORMATS: tuple[Format, ...] = ("png", "pdf")
DPI = 300
_DATE_VARIABLE = "SOURCE_DATE_EPOCH"


def png_and_pdf(draw: Callable[[], Figure]) -> tuple[bytes, bytes]:
    """Returns what `draw` draws as PNG and as PDF, over the width of a page. The same results give the same bytes."""
    found = rendered(draw, ("png", "pdf"))
    return found["png"], found["pdf"]


def png_and_pdf_files(name: str, draw: Drawing | None) -> dict[str, bytes]:
    """Returns a figure as PNG and as PDF by file name; nothing where there is nothing to draw."""
    if draw is None:
        return {}
    png, pdf = png_and_pdf(draw)
    return {f"{name}.png": png, f"{name}.pdf": pdf}


def rendered(
    draw: Callable[[], Figure],
    formats: Sequence[Format],
    size: FigureSize | None = None,
    *,
    title: str = "",
    caption: str = "",
) -> dict[Format, bytes]:
    """Returns what `draw` draws by format. The same results give the same bytes."""
    with paper_style(size), warnings.catch_warnings(), _no_date_given():
        # The font lacks some scripts and shows boxes for them; page and tables have the names in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = draw()
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # keeps the layout for all formats; finding it takes most of the time
        return {kind: _bytes(figure, kind, title, caption) for kind in formats}


def _bytes(figure: Figure, kind: Format, title: str, caption: str) -> bytes:
    buffer = io.BytesIO()
    # The files hold no date, so that the same results give the same file.
    metadata: dict[Format, dict[str, str | None]] = {
        "png": {"Software": "repdrift", "Title": title, "Description": caption},
        "pdf": {"CreationDate": None, "Title": title, "Subject": caption},
        "svg": {"Date": None, "Title": title, "Description": caption},
    }
    words = {name: text and one_line(text) for name, text in metadata[kind].items() if text != ""}
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=words)
    return with_fonts(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


@contextmanager
def _no_date_given() -> Generator[None]:
    """Hides SOURCE_DATE_EPOCH: matplotlib fails on one that is no date, also where the file holds none."""
    kept = os.environ.pop(_DATE_VARIABLE, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[_DATE_VARIABLE] = kept
