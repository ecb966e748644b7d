"""The figure of a comparison's texts with shaded tokens: where the tuned model predicts something else than the base model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.outcomes import ShadedTokens
from repdrift.core.sample_words import shaded_strips
from repdrift.core.shared_paths import shareable
from repdrift.core.worded_section import TokenStrip
from repdrift.report.figure_size import page_width_in
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted, plain, text_width_pt, wrapped
from repdrift.report.rendering import Drawing
from repdrift.report.style import GREY, INK

FIGURE_NAME = "token_strips"
MOST_TEXTS = 3
_MARGIN_PT, _LINE_PT, _GAP_PT, _FOOT_PT, _HEAD_PT = 8.0, 13.0, 12.0, 46.0, 18.0
_DARK = 0.55
"""Shades that are darker than this share of the scale have white text."""


@dataclass(frozen=True)
class _Box:
    """One token on the page. x, y: its lower left corner in points, y from the top of its text."""

    text: str
    x: float
    line: int
    width: float
    value: float | None


def strip_drawing(result: Comparison) -> Drawing | None:
    """Returns what draws the figure; None if no text is shown."""
    found = [
        (model.name, strip) for model in shareable(result).models if model.outputs for strip in model.outputs.strips
    ]
    if not found:
        return None
    found.sort(key=lambda pair: -pair[1].mean)
    shown = [_titled(name, strip, found[:MOST_TEXTS]) for name, strip in found[:MOST_TEXTS]]
    left = len(found) - len(shown)
    more = f" ({left} more texts are in comparison.json)" if left > 0 else ""
    return lambda: draw_strips(shown, f"Texts whose predicted tokens changed most{more}")


def _titled(name: str, strip: ShadedTokens, all_shown: Sequence[tuple[str, ShadedTokens]]) -> TokenStrip:
    highest = max(value for _, of in all_shown for value in of.values if value is not None)
    (made,) = shaded_strips([strip], f"{plain(name)}, ", highest)
    return made


def draw_strips(strips: Sequence[TokenStrip], title: str) -> Figure:
    """Draw texts below each other, each token on a box that is the darker the larger its value, and the scale at the foot."""
    placed = [_placed(strip) for strip in strips]
    captions = [wrapped(plain(strip.caption, 400), _width_pt(), NOTE_PT) for strip in strips]
    heights = [
        _LINE_PT * (1 + 1 + max(box.line for box in boxes)) + 10 * len(caption) + 4 + _GAP_PT
        for boxes, caption in zip(placed, captions, strict=True)
    ]
    height = _HEAD_PT + sum(heights) + _FOOT_PT
    figure = Figure(figsize=(page_width_in(), height / 72))
    figure.set_layout_engine("none")  # every place is given in points
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 72 * page_width_in())
    axes.set_ylim(height, 0)
    axes.axis("off")
    axes.text(_MARGIN_PT, 13, title, fontsize=FONT_PT, color=INK)
    scale, colours = Normalize(0, strips[0].highest), mpl.colormaps["Blues"]
    top = _HEAD_PT
    for strip, boxes, caption, tall in zip(strips, placed, captions, heights, strict=True):
        axes.text(
            _MARGIN_PT, top + 10, fitted(strip.title, _width_pt() / 1.16), fontsize=NOTE_PT, color=INK, weight="bold"
        )
        for box in boxes:
            _draw(axes, box, top + _LINE_PT * (1 + box.line), scale, colours)
        below = top + _LINE_PT * (2 + max(box.line for box in boxes)) + 9
        for number, line in enumerate(caption):
            axes.text(_MARGIN_PT, below + 10 * number, line, fontsize=NOTE_PT, color=GREY)
        top += tall
    bar_axes = figure.add_axes((0.25, 28 / height, 0.5, 7 / height))
    bar = figure.colorbar(ScalarMappable(scale, colours), cax=bar_axes, orientation="horizontal")
    bar.set_label("KL(base || tuned) of the predicted token, nats; without a box: not predicted", fontsize=NOTE_PT)
    bar.ax.tick_params(labelsize=NOTE_PT)
    return figure


def _placed(strip: TokenStrip) -> list[_Box]:
    """The tokens in lines that are no wider than the page."""
    found: list[_Box] = []
    x, line = 0.0, 0
    for token in strip.shaded:
        text = plain(token.text) if token.text.strip() else ("·" if token.value is not None else " ")
        gap = 3.0 if token.text[:1].isspace() else 0.0
        width = text_width_pt([text], NOTE_PT) + 2.0
        if x + gap + width > _width_pt() and x > 0:
            x, line, gap = 0.0, line + 1, 0.0
        found.append(_Box(text, _MARGIN_PT + x + gap, line, width, token.value))
        x += gap + width
    return found


def _draw(axes: Axes, box: _Box, top: float, scale: Normalize, colours: Colormap) -> None:
    share = None if box.value is None else float(scale(box.value))
    if share is not None:
        axes.add_patch(Rectangle((box.x, top + 1), box.width, _LINE_PT - 2, facecolor=colours(share), edgecolor="none"))
    ink = GREY if share is None else "white" if share > _DARK else INK
    axes.text(box.x + 1, top + _LINE_PT - 4, box.text, fontsize=NOTE_PT, color=ink)


def _width_pt() -> float:
    """The width of the lines of tokens."""
    return 72 * page_width_in() - 2 * _MARGIN_PT
