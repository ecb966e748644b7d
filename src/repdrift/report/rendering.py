"""A figure as the bytes of its files, the same bytes for the same results."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repdrift.report.style import DPI, paper_style


def png_and_pdf(draw: Callable[[], Figure]) -> tuple[bytes, bytes]:
    """What `draw` draws, in the project's style, as PNG and as PDF."""
    with paper_style(), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; page and tables have it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = draw()
        FigureCanvasAgg(figure)
        png = _rendered(figure, "png")
        figure.set_layout_engine("none")  # the places found for the PNG hold; finding them takes most of the time
        return png, _rendered(figure, "pdf")


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # Without the date in it, the same results give the same file.
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": "repdrift"}
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()
