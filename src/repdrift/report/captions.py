"""Captions of the figures as a Markdown file beside them: how to read each, and what it shows, for the paper and for alternative text."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.first_lines import first_lines
from repdrift.core.words import markdown_text
from repdrift.report.figure_size import FigureSize
from repdrift.report.figures import FigureSpec
from repdrift.report.report_data import ReportData
from repdrift.report.style import paper_style

CAPTIONS_FILE = "captions.md"


def captions_text(specs: Sequence[FigureSpec], data: ReportData, size: FigureSize | None = None) -> str:
    """Returns title, caption and description of each figure in Markdown; what changes how all of them are read stands above, once.

    size: of the figures, since a caption says what does not fit.
    """
    parts = [
        f"# Figures of the study {markdown_text(data.results.study.name)}",
        *map(markdown_text, first_lines(data.results)),
    ]
    with paper_style(size):
        for spec in specs:
            parts += [
                f"## {spec.name}: {markdown_text(spec.title)}",
                markdown_text(spec.caption(data)),
                f"In words: {markdown_text(spec.describe(data))}",
            ]
    return "\n\n".join(parts) + "\n"
