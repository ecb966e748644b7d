"""Figures of matplotlib that a notebook shows by themselves, and that are saved as `repdrift visualize` saves them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from repdrift.report.figure_size import FigureSize
from repdrift.report.style import paper_style

_SCREEN_DPI = 110


@dataclass(frozen=True)
class FigureWords:
    """The words of a figure. caption: how to read it. description: what it shows, for readers who cannot see it."""

    title: str
    caption: str = ""
    description: str = ""


class ShownFigure(Figure):
    """A figure of results. `words` has its title, caption and description; `savefig` keeps text as text in PDF and SVG."""

    words: FigureWords
    paper_size: FigureSize | None

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Saves the figure as matplotlib does, in the style that it was drawn in."""
        with paper_style(self.paper_size), warnings.catch_warnings():
            # The font lacks some scripts and shows boxes for them; tables have the names in full.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
            super().savefig(*args, **kwargs)

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_SCREEN_DPI)
        return buffer.getvalue(), {"alt": self.words.description or self.words.title}

    def __repr__(self) -> str:
        return f"<figure: {'. '.join(text for text in (self.words.title, self.words.caption) if text)}>"


def shown_figure(draw: Callable[[], Figure], words: FigureWords, size: FigureSize | None = None) -> ShownFigure:
    """Draws a figure in the style of papers. It belongs to no window and to no backend of pyplot, and is closed with its last reference."""
    with paper_style(size), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = draw()
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is that of the paper's style, which ends here
    figure.__class__ = ShownFigure
    assert isinstance(figure, ShownFigure)  # noqa: S101  for the type checker
    figure.words, figure.paper_size = words, size
    return figure
