"""The figure of shaded tokens: every token is drawn on a box whose lightness falls with its value."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repdrift.core.worded_section import TokenStrip
from repdrift.report.figure_size import FigureSize
from repdrift.report.rendering import rendered
from repdrift.report.strips_figure import draw_strips

_HOSTILE = [" $x_{", " <b>", " \x1b[31m", "\n", " \u202eabc", " 😀", "", " " + "long" * 40, " \\frac"]


@pytest.fixture(scope="module")
def drawn() -> tuple[Figure, list[float]]:
    values = [float(v) for v in np.linspace(0, 3, 150)]
    tokens: list[tuple[str, float | None]] = [("start", None)]
    tokens += [(_HOSTILE[i % 9], value) for i, value in enumerate(values)]
    made: list[Figure] = []

    def draw() -> Figure:
        strips = [TokenStrip(f"{_HOSTILE[0]} text {i}", tokens, "highest: $ [a] 3", 3.0) for i in range(3)]
        made.append(draw_strips(strips, "title"))
        return made[0]

    png, pdf = rendered(draw, ("png", "pdf")).values()
    assert png.startswith(b"\x89PNG")
    assert pdf.startswith(b"%PDF")
    return made[0], values


def boxes_of(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_every_token_with_a_value_has_a_box_that_is_the_darker_in_grey_the_larger_it_is(drawn):
    figure, values = drawn
    boxes = boxes_of(figure)
    assert len(boxes) == 3 * len(values)
    grey = [float(np.dot(to_rgb(box.get_facecolor()), (0.299, 0.587, 0.114))) for box in boxes[: len(values)]]
    assert (np.diff(grey) <= 1e-9).all()
    assert grey[0] - grey[-1] > 0.7


def test_boxes_lie_on_the_page_and_do_not_overlap(drawn):
    figure, _ = drawn
    axes = figure.axes[0]
    lines: dict[float, list[Rectangle]] = {}
    for box in boxes_of(figure):
        assert 0 <= box.get_x() <= box.get_x() + box.get_width() <= 72 * FigureSize().inches
        assert 0 < box.get_y() < axes.get_ylim()[0] - 40  # above the scale
        lines.setdefault(box.get_y(), []).append(box)
    assert len(lines) > 9
    for line in lines.values():
        for left, right in pairwise(line):
            assert left.get_x() + left.get_width() <= right.get_x() + 1e-9


def test_texts_from_outside_are_plain(drawn):
    shown = [text.get_text() for text in drawn[0].axes[0].texts]
    assert not any("\x1b" in text or "\u202e" in text or "\n" in text for text in shown)
    assert all(text.replace(r"\$", "").count("$") == 0 for text in shown)
    assert "start" in shown
    assert "<b>" in shown
