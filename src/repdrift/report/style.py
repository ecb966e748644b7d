"""The look of all figures: paper style, colours for colour-blind readers, axes, legends and remarks."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter

from repdrift.core.words import method_title, task_title
from repdrift.report.figure_size import FigureSize, is_narrow, page_width_in
from repdrift.report.labels import NOTE_PT, fitted_names, text_width_pt

STYLE_FILE = "repdrift.mplstyle"
INK = "#222222"
GREY = "#6b6b6b"
FAINT = "#c8c8c8"
HATCH = "/////"

# The first colours are of Okabe and Ito's palette. The others were found by a search: of all colours dark enough for white paper, each is the one
# farthest from those before it, for full colour vision and for protanopia, deuteranopia and tritanopia (least distance over all pairs: 15 in CIELAB).
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#4B2991", "#F0A500", "#8C6D31", "#96B4FF", "#9600FF", "#5A0F0F", "#C3B469", "#695A69", "#8778FF", "#4B1E3C"
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "d", "h")
_DASHES = ("-", (0, (5, 1.5)), (0, (5, 1.2, 1.2, 1.2)), (0, (2, 1)))
LIKENESS = LinearSegmentedColormap.from_list("likeness", ["#D55E00", "#f4f2ee", "#0072B2"])
"""Colours from -1 (opposite, orange) to 1 (alike, blue), as on the page; in grey both ends are dark, so what is below 0 needs its sign."""
_FIXED = ("full_finetune", "lora")
"""Methods that look the same in every study."""
_TASK_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_MOST_TICKS = 12
_LAYER_WORDS = ("layer (0 is the first block)", "layer")
_KEY_EM = 4.2
"""Width of a legend's column without its text, in font sizes: the key and the space around."""


@contextmanager
def paper_style(size: FigureSize | None = None) -> Generator[None]:
    """Sets matplotlib's settings for a figure of this size and restores them afterwards."""
    with mpl.rc_context():
        mpl.rcParams.update(
            mpl.rc_params_from_file(str(files("repdrift.report") / STYLE_FILE), use_default_template=False)
        )
        height = mpl.rcParams["figure.figsize"][1]
        mpl.rcParams["figure.figsize"] = ((size or FigureSize()).inches, height)
        yield


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a line. Any two of the first 52 differ in marker or dashes, any two of the first 14 in colour too."""

    color: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Settings of a line with markers."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.dashes}


def look(number: int) -> Look:
    """The look of the line of this number, from 0."""
    return Look(
        COLORS[number % len(COLORS)],
        MARKERS[number % len(MARKERS)],
        _DASHES[number // len(MARKERS) % len(_DASHES)],
    )


def method_look(method: str, methods: Sequence[str]) -> Look:
    """The look of a method: full fine-tuning and LoRA have theirs in every study, the others get the next free one."""
    if method in _FIXED:
        return look(_FIXED.index(method))
    others = [m for m in methods if m not in _FIXED]
    return look(len(_FIXED) + (others.index(method) if method in others else 0))


def method_color(method: str, methods: Sequence[str]) -> str:
    """The colour of a method."""
    return method_look(method, methods).color


def method_marker(method: str, methods: Sequence[str]) -> str:
    """The marker of a method."""
    return method_look(method, methods).marker


def task_mark(task: str, tasks: Sequence[str]) -> tuple[str, bool]:
    """The marker of a task, and whether it is hollow. Markers repeat as hollow ones from the ninth task on."""
    position = list(tasks).index(task)
    return _TASK_MARKERS[position % len(_TASK_MARKERS)], position // len(_TASK_MARKERS) % 2 == 1


def method_names(methods: Sequence[str], width_pt: float | None = None, size_pt: float = NOTE_PT) -> dict[str, str]:
    """Labels of methods that are no wider than `width_pt`, and different where the methods are; without a width as wide as suits a legend."""
    titles, width = [method_title(name) for name in methods], legend_name_pt() if width_pt is None else width_pt
    return dict(zip(methods, fitted_names(titles, width, size_pt), strict=True))


def task_names(tasks: Sequence[str], width_pt: float | None = None, size_pt: float = NOTE_PT) -> dict[str, str]:
    """Labels of tasks that are no wider than `width_pt`, and different where the tasks are; without a width as wide as suits a legend."""
    titles, width = [task_title(name) for name in tasks], legend_name_pt() if width_pt is None else width_pt
    return dict(zip(tasks, fitted_names(titles, width, size_pt), strict=True))


def legend_name_pt() -> float:
    """Width of a name in a legend with two columns in a narrow figure, three in a wide one."""
    columns = 2 if is_narrow() else 3
    return (72 * page_width_in() - 10) / columns - _KEY_EM * NOTE_PT


def log_ticks(axis: Axis) -> None:
    """Labels the powers of ten of a logarithmic axis with superscripts as plain text, which need no mathtext (slow).

    Where fewer than two powers of ten are in sight, ticks between them have labels too: an axis without numbers has no scale.
    """
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: _between_powers(value, *axis.get_view_interval())))


def _between_powers(value: float, low: float, high: float) -> str:
    """The label of a tick between powers of ten on an axis from `low` to `high`; empty where the powers of ten say enough."""
    low, high = sorted((low, high))
    if low <= 0 or value <= 0 or math.floor(math.log10(high)) - math.ceil(math.log10(low)) >= 1:
        return ""
    times = round(value / 10.0 ** math.floor(math.log10(value) + 1e-9), 6)
    is_narrow = high / low < 4
    return power_of_ten(float(f"{value:.6g}")) if is_narrow or times in (2, 3, 5) else ""


def power_of_ten(value: float) -> str:
    """A tick of a logarithmic axis as text: `0.01`, `1`, `30`; with a superscript where that is shorter, `10⁻⁵`, `3×10⁻⁵`."""
    if value <= 0:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    if -3 <= exponent <= 3:
        return f"{value:g}"
    times = value / 10.0**exponent
    power = "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if abs(times - 1) < 1e-6 else f"{times:.1g}×{power}"


def layer_axis(
    axes: Axes, layers: Sequence[int], room: float = 1.0, *, word: bool = True, names: Sequence[int] | None = None
) -> None:
    """Set ticks at whole layer numbers, as many as fit. room: width of the axes as a share of the figure's; word: name the axis.

    names: the layers that stand at the positions `layers`, where these differ.
    """
    shown = [str(name) for name in (layers if names is None else names)]
    width_pt = 72 * page_width_in() * room * 0.8 - 14
    fit = max(1, min(_MOST_TICKS, int(width_pt / (text_width_pt(shown, NOTE_PT) + 5))))
    step = next(s * 10**power for power in range(9) for s in (1, 2, 4, 5, 8) if s * 10**power * fit >= len(layers))
    axes.set_xticks(list(layers)[::step], shown[::step])
    axes.set_xlim(min(layers) - 0.5, max(layers) + 0.5)
    if word:
        axes.set_xlabel(next((text for text in _LAYER_WORDS if text_width_pt([text]) <= width_pt), _LAYER_WORDS[-1]))


def integer_axis(axis: Axis, last: int) -> None:
    """Set a few ticks at round whole numbers from 1 to `last`, with 1 among them."""
    step = next(s * 10**power for power in range(9) for s in (1, 2, 5) if 6 * s * 10**power >= last)
    axis.set_ticks([1, *(tick for tick in range(step, last + 1, step) if tick > 2 or tick == 2 * step)])


def legend_columns(labels: Sequence[str], size_pt: float = NOTE_PT, most: int = 6) -> int:
    """The largest number of columns in which these labels fit into the figure's width. Columns are filled downward."""
    for columns in range(min(most, len(labels)), 1, -1):
        rows, longer = divmod(len(labels), columns)
        ends = [rows * n + min(n, longer) for n in range(columns + 1)]
        widths = [text_width_pt(labels[a:b], size_pt) + _KEY_EM * size_pt for a, b in pairwise(ends)]
        if sum(widths) <= 72 * page_width_in() - 8:
            return columns
    return 1


def lone_marker(layers: Sequence[int]) -> str:
    """The marker of a line: none, or a dash if there is one layer only, since a line of one value cannot be seen."""
    return "_" if len(layers) == 1 else ""


def note(axes: Axes, text: str, position: tuple[float, float], **options: object) -> None:
    """Write a short remark into a panel that holds nothing else. position: in fractions of the axes."""
    settings: dict[str, object] = {"fontsize": NOTE_PT, "color": GREY, "ha": "center", "va": "center"}
    axes.text(*position, text, transform=axes.transAxes, **(settings | options))  # pyright: ignore[reportArgumentType]
