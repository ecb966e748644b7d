"""Faults that can be seen in a drawn figure, found from what is drawn: texts over each other, cut data, panels that say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from repdrift.report.figure_size import MOST_HEIGHT_IN
from repdrift.report.labels import NOTE_PT

LARGEST_PT = 9.0
_SLACK_PT = 0.3
"""By so much texts may touch, and marks may reach beyond an axis: less than a printer's dot can show."""
_LEAST_PANEL_IN = 0.25


@dataclass(frozen=True)
class DrawnText:
    """One line of text as it was drawn. corners: (4, 2) in points, from the lower left of the figure."""

    text: str
    size_pt: float
    corners: np.ndarray


class _Recorder(RendererAgg):
    """A renderer that notes every line of text; pictures are of no interest."""

    def __init__(self, width: int, height: int, dpi: float) -> None:
        super().__init__(width, height, dpi)
        self.found: list[DrawnText] = []
        self._tall = height

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        if not s.strip():
            return
        width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
        box = np.array([(0, -descent), (width, -descent), (width, height - descent), (0, height - descent)])
        turn = np.deg2rad(angle)
        turned = box @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        corners = (turned + np.array([x, self._tall - y])) * 72 / self.dpi
        self.found.append(DrawnText(s, prop.get_size_in_points(), corners))


def faults_of(figure: Figure) -> list[str]:
    """Every fault of a figure, in words."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    texts = drawn_texts(figure)
    return [
        *_texts_apart(texts),
        *_texts_inside(texts, figure),
        *_text_sizes(texts),
        *_marks(texts, figure),
        *_cell_numbers(texts, figure),
        *_height(figure),
        *_panels(figure),
    ]


def drawn_texts(figure: Figure) -> list[DrawnText]:
    """Every line of text that is drawn, once the figure is laid out."""
    width, height = (figure.get_size_inches() * figure.dpi).astype(int)
    recorder = _Recorder(int(width), int(height), figure.dpi)
    figure.draw(recorder)
    return recorder.found


def _texts_apart(texts: list[DrawnText]) -> Iterator[str]:
    boxes = np.array([[*text.corners.min(axis=0), *text.corners.max(axis=0)] for text in texts])
    for (i, one), (j, other) in combinations(enumerate(texts), 2):
        a, b = boxes[i], boxes[j]
        if (a[:2] < b[2:]).all() and (b[:2] < a[2:]).all() and _overlap(one.corners, other.corners):
            yield f"{one.text!r} and {other.text!r} lie over each other"


def _overlap(one: np.ndarray, other: np.ndarray) -> bool:
    """True if two rectangles share an area: no side of either separates them."""
    for corners in (one, other):
        for side in (corners[1] - corners[0], corners[3] - corners[0]):
            length = np.linalg.norm(side)
            if length == 0:
                continue
            a, b = one @ side / length, other @ side / length
            if a.max() - _SLACK_PT <= b.min() or b.max() - _SLACK_PT <= a.min():
                return False
    return True


def _texts_inside(texts: list[DrawnText], figure: Figure) -> Iterator[str]:
    width, height = 72 * figure.get_size_inches()
    for text in texts:
        (left, low), (right, high) = text.corners.min(axis=0), text.corners.max(axis=0)
        if left < -_SLACK_PT or low < -_SLACK_PT or right > width + _SLACK_PT or high > height + _SLACK_PT:
            yield f"{text.text!r} leaves the figure"


def _text_sizes(texts: list[DrawnText]) -> Iterator[str]:
    for text in texts:
        if not NOTE_PT <= text.size_pt <= LARGEST_PT:
            yield f"{text.text!r} has {text.size_pt:g} points, not {NOTE_PT} to {LARGEST_PT:g}"


def _marks(texts: list[DrawnText], figure: Figure) -> Iterator[str]:
    """Marks of data that lie on a text."""
    scale = 72 / figure.dpi
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_marker() in ("", "None", None, " ") or not line.get_visible():
                continue
            points = _pixels(axes, line)
            if points is None or not len(points):
                continue
            every = line.get_markevery()
            points = (points[every[0] :: every[1]] if isinstance(every, tuple) else points) * scale
            radius = 0.35 * line.get_markersize()
            for text in texts:
                low, high = text.corners.min(axis=0), text.corners.max(axis=0)
                if ((points > low - radius) & (points < high + radius)).all(axis=1).any():
                    yield f"a mark lies on {text.text!r}"


def _cell_numbers(texts: list[DrawnText], figure: Figure) -> Iterator[str]:
    """Numbers in heatmaps that touch the edge of their cell, or reach over it."""
    scale = 72 / figure.dpi
    for axes in figure.axes:
        for image in axes.images:
            columns = image.get_array().shape[1]
            box = axes.get_window_extent()
            width = box.width * scale / columns
            low, high = np.array([box.x0, box.y0]) * scale, np.array([box.x1, box.y1]) * scale
            for text in texts:
                left, right = text.corners.min(axis=0), text.corners.max(axis=0)
                inside = (left + right > 2 * low).all() and (left + right < 2 * high).all()
                if inside and _is_number(text.text) and right[0] - left[0] > width - 1.0:
                    yield f"{text.text!r} is wider than its cell"


def _is_number(text: str) -> bool:
    return text.strip("<>-−").replace(".", "", 1).isdigit()


def _height(figure: Figure) -> Iterator[str]:
    if figure.get_figheight() > MOST_HEIGHT_IN + 1e-6:
        yield f"the figure is {figure.get_figheight():.1f} in tall, more than a page has ({MOST_HEIGHT_IN:g})"


def _panels(figure: Figure) -> Iterator[str]:
    for number, axes in enumerate(figure.axes):
        if not axes.get_visible():
            continue
        where = f"panel {number} ({axes.get_title() or axes.get_title(loc='left') or axes.get_ylabel()})"
        box = axes.get_window_extent()
        if axes.get_label() != "<colorbar>" and min(box.width, box.height) / figure.dpi < _LEAST_PANEL_IN:
            yield f"{where} is {box.width / figure.dpi:.2f} x {box.height / figure.dpi:.2f} in small"
        if axes.axison and not _holds_something(axes):
            yield f"{where} is empty and does not say why"
        if axes.get_label() != "<colorbar>":
            for artist in axes.get_children():
                if (
                    artist.get_visible()
                    and isinstance(artist, Line2D | Collection | Patch)
                    and artist is not axes.patch
                ):
                    yield from (f"{where}: {fault}" for fault in _cut(axes, artist))
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            twice = _named_twice(labels)
            if twice:
                yield f"{where}: ticks share the label {twice}"
    for legend in figure.legends:
        labels = [text.get_text() for text in legend.get_texts()]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            yield f"the legend has {twice} twice"


def _named_twice(labels: list[Text]) -> list[str]:
    """Names that stand at two ticks of one group. A bold label begins a new group."""
    seen: dict[str, float] = {}
    twice: set[str] = set()
    for label in labels:
        name, place = label.get_text(), sum(label.get_position())
        seen = {} if label.get_weight() == "bold" else seen
        # An axis with two sides has each number at two places, as far from its middle.
        twice |= {name} if name in seen and abs(seen[name] + place) > 1e-9 else set()
        seen[name] = place
    return sorted(name for name in twice if name and not name.strip("−-.⁻⁰¹²³⁴⁵⁶⁷⁸⁹").isdigit())


def _holds_something(axes: Axes) -> bool:
    if any(text.get_text().strip() and text.get_visible() for text in axes.texts):
        return True
    if any(np.isfinite(np.ma.filled(image.get_array().astype(float), np.nan)).any() for image in axes.images):
        return True
    if any(np.isfinite(np.asarray(line.get_xydata(), dtype=float)).all(axis=1).any() for line in _data_lines(axes)):
        return True
    return any(c.get_visible() for c in (*axes.collections, *axes.patches))


def _data_lines(axes: Axes) -> list[Line2D]:
    """Lines whose both coordinates are data: not those across the whole panel, such as a target."""
    return [line for line in axes.lines if line.get_transform() == axes.transData]


def _cut(axes: Axes, artist: Artist) -> Iterator[str]:
    """Parts of an artist that the axes cut off: whole points beyond their limits, and marks at their edge."""
    points = _pixels(axes, artist)
    if points is None or not len(points):
        return
    dots = axes.figure.dpi / 72
    box = axes.get_window_extent()
    low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
    radius = 0.0
    if isinstance(artist, Line2D) and artist.get_marker() not in ("", "None", None, " ") and artist.get_clip_on():
        radius = 0.4 * artist.get_markersize() * dots
    clipped = artist.get_clip_on()
    slack = (1.0 if clipped else 4.0) * dots
    beyond = (points - radius < low - slack) | (points + radius > high + slack)
    if beyond.any():
        yield f"{type(artist).__name__} {artist.get_label()!r} is cut at the edge of the panel"


def _pixels(axes: Axes, artist: Artist) -> np.ndarray | None:
    """The places of an artist's data on the picture; None for artists that are not placed by data. Coordinates that are none are left out."""
    whole = artist.get_transform()
    if isinstance(artist, Line2D):
        data, transform = np.asarray(artist.get_xydata(), dtype=float), whole
    elif isinstance(artist, Patch):
        data, transform = artist.get_path().vertices, whole
    else:
        paths = artist.get_paths()
        offsets = np.asarray(artist.get_offsets(), dtype=float)
        if len(offsets) and (len(offsets) > 1 or offsets.any()):
            data, transform = offsets, artist.get_offset_transform()
        elif paths:
            data, transform = np.concatenate([path.vertices for path in paths]), whole
        else:
            return None
    if not transform.contains_branch(axes.transData) and not any(transform.contains_branch_seperately(axes.transData)):
        return None
    known = np.isfinite(data).all(axis=1)
    with np.errstate(invalid="ignore"):
        pixels = transform.transform(data[known])
    for place, of_data in enumerate(transform.contains_branch_seperately(axes.transData)):
        if not of_data:
            box = axes.get_window_extent()
            pixels[:, place] = (box.x0 + box.x1) / 2 if place == 0 else (box.y0 + box.y1) / 2
    return pixels[np.isfinite(pixels).all(axis=1)]
