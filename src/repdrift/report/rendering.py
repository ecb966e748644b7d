"""Figures as files: PNG for screens, PDF and SVG for papers, each with its title and caption inside, the same bytes for the same results."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class FigureFormat:
    """The formats of figures, and their width in print."""

    formats: Sequence[Format] = DEFAULT_FORMATS
    size: FigureSize = field(default_factory=FigureSize)

    def files(self, drawings: Mapping[str, Drawing | None]) -> dict[str, bytes]:
        """Returns the contents of a file for each drawing and format, by file name; none where there is nothing to draw."""
        return {
            f"{name}.{kind}": content
            for name, draw in drawings.items()
            if draw is not None
            for kind, content in rendered(draw, self.formats, self.size, title=name.replace("_", " ")).items()
        }


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
