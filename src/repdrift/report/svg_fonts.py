"""Fonts inside of SVG files: the letters that a drawing uses, so that it looks the same where the font is not installed, and its text stays text."""

from __future__ import annotations

import base64
import io
from typing import Any, Literal

from fontTools import subset
from matplotlib import font_manager

_FAMILY = "DejaVu Sans"
_STYLE = '<style type="text/css">'
_WEIGHTS: dict[str, Literal["normal", "bold"]] = {"400": "normal", "700": "bold"}


def with_fonts(svg: bytes) -> bytes:
    """Returns an SVG drawing of matplotlib with the letters of its font in its style sheet; the same drawing gives the same bytes."""
    text = svg.decode()
    if _STYLE not in text:
        return svg
    bold = "bold" in text or "700" in text
    faces = "".join(_face(number, weight, text) for number, weight in _WEIGHTS.items() if weight == "normal" or bold)
    return text.replace(_STYLE, _STYLE + faces, 1).encode()


def _face(number: str, weight: Literal["normal", "bold"], text: str) -> str:
    """A rule of the style sheet that holds the letters of `text` in one weight."""
    path = font_manager.findfont(font_manager.FontProperties(family=_FAMILY, weight=weight))
    options: Any = subset.Options(flavor="woff", recalc_timestamp=False)
    options.drop_tables = [*options.drop_tables, "FFTM"]  # the font editor's own time stamps
    chosen, buffer = subset.Subsetter(options), io.BytesIO()
    with subset.load_font(path, options) as font:
        chosen.populate(text=text)
        chosen.subset(font)
        subset.save_font(font, buffer, options)
    letters = base64.b64encode(buffer.getvalue()).decode()
    return f'@font-face{{font-family:"{_FAMILY}";font-weight:{number};src:url(data:font/woff;base64,{letters}) format("woff")}}'
