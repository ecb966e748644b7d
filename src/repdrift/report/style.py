"""The style of all figures: paper sizes, colours for colour-blind readers, labels, axes, and the bytes of the files."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, NullFormatter

from repdrift.core.words import method_title, task_title

FULL_WIDTH_IN = 7.0
COLUMN_WIDTH_IN = 3.4
DPI = 200
FONT_PT = 8
NOTE_PT = 7

# Okabe and Ito's palette, then a dark violet and a brown, which differ from it in lightness; markers and dashes differ too, so that grey print can be read.
_METHOD_COLORS = {"full_finetune": "#0072B2", "lora": "#D55E00"}
_MORE_COLORS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4B2991", "#8C6D31")
_METHOD_MARKERS = {"full_finetune": "o", "lora": "s"}
_MORE_MARKERS = ("^", "D", "v", "P", "X", "*", "<", ">", "p")
_TASK_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK = "#222222"
GREY = "#6b6b6b"
FAINT = "#c8c8c8"
HATCH = "/////"

_DATE_VARIABLE = "SOURCE_DATE_EPOCH"
_LONGEST_NAME = 30
_LONGEST_TICK = 18
_MOST_TICKS = 12
_KEY_EM = 4.8
"""Width of a legend's column without its text, in font sizes: the key and the space around."""


@contextmanager
def paper_style() -> Generator[None]:
    """Sets matplotlib's settings for a figure and restores them afterwards."""
    settings = {
        "font.family": "DejaVu Sans",  # matplotlib brings it along, so that the picture is the same everywhere
        "font.size": FONT_PT,
        "axes.titlesize": 9,
        "axes.labelsize": FONT_PT,
        "legend.fontsize": FONT_PT,
        "xtick.labelsize": FONT_PT,
        "ytick.labelsize": FONT_PT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.edgecolor": INK,
        "axes.unicode_minus": True,
        "lines.linewidth": 1.3,
        "legend.frameon": False,
        "legend.handlelength": 1.8,
        "pdf.fonttype": 42,  # text in the PDF stays text
        "ps.fonttype": 42,
        "figure.constrained_layout.use": True,
        "hatch.linewidth": 0.5,
    }
    with mpl.rc_context(settings):  # pyright: ignore[reportArgumentType]
        yield


def png_and_pdf(draw: Callable[[], Figure]) -> tuple[bytes, bytes]:
    """Returns what `draw` draws as PNG and as PDF. The same results give the same bytes."""
    with paper_style(), warnings.catch_warnings():
        # The font lacks some scripts and shows boxes for them; page and tables have the names in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = draw()
        FigureCanvasAgg(figure)
        png = _rendered(figure, "png")
        figure.set_layout_engine("none")  # keeps the layout of the PNG; finding it takes most of the time
        return png, _rendered(figure, "pdf")


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # The files hold no date, so that the same results give the same file.
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": "repdrift"}
    with _no_date_given():
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


@contextmanager
def _no_date_given() -> Generator[None]:
    """Hides SOURCE_DATE_EPOCH: matplotlib fails on one that is no date, also where the file holds none."""
    kept = os.environ.pop(_DATE_VARIABLE, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[_DATE_VARIABLE] = kept


def log_ticks(axis: Axis) -> None:
    """Labels the powers of ten of a logarithmic axis with superscripts as plain text, which need no mathtext (slow)."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())


def _power_of_ten(value: float) -> str:
    exponent = round(math.log10(value)) if value > 0 else 0
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def method_color(method: str, methods: Sequence[str]) -> str:
    """The colour of a method. Methods without a fixed colour get the next free one."""
    return _METHOD_COLORS.get(method) or _MORE_COLORS[_position(method, methods) % len(_MORE_COLORS)]


def method_marker(method: str, methods: Sequence[str]) -> str:
    """The marker of a method. Methods without a fixed marker get the next free one."""
    return _METHOD_MARKERS.get(method) or _MORE_MARKERS[_position(method, methods) % len(_MORE_MARKERS)]


def task_mark(task: str, tasks: Sequence[str]) -> tuple[str, bool]:
    """The marker of a task, and whether it is hollow. Markers repeat as hollow ones from the ninth task on."""
    position = list(tasks).index(task)
    return _TASK_MARKERS[position % len(_TASK_MARKERS)], position // len(_TASK_MARKERS) % 2 == 1


def method_label(method: str) -> str:
    """A method's name as a label in a figure."""
    return plain(method_title(method))


def task_label(task: str, longest: int = _LONGEST_NAME) -> str:
    """A task's name as a label in a figure."""
    return plain(task_title(task), longest)


def plain(text: str, longest: int = _LONGEST_NAME) -> str:
    """A text from outside as a label: one line, shortened in the middle if it is long, and without formulas."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "(no name)"
    if len(line) > longest:
        line = f"{line[: longest // 2]}…{line[1 - longest // 2 :]}"
    return line.replace("$", r"\$")


def text_width_pt(texts: Sequence[str], size_pt: float = FONT_PT) -> float:
    """Width in points of the widest of the labels in the current font; 0 if there is none."""
    font = FontProperties(family=mpl.rcParams["font.family"], size=size_pt)
    widths = (text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] for text in texts)
    return max(map(float, widths), default=0.0)


def wrapped(text: str, width_pt: float, size_pt: float = FONT_PT) -> list[str]:
    """The lines of a text that is to be no wider than `width_pt` points; a word that is wider by itself is cut into several."""
    lines = [""]
    for word in text.split():
        rest = word
        while rest:
            joined = f"{lines[-1]} {rest}".strip()
            if text_width_pt([joined], size_pt) <= width_pt:
                lines[-1] = joined
                break
            if lines[-1]:
                lines.append("")
                continue
            fits = next(n for n in range(len(rest), 0, -1) if n == 1 or text_width_pt([rest[:n]], size_pt) <= width_pt)
            lines[-1], rest = rest[:fits], rest[fits:]
            if rest:
                lines.append("")
    return lines


def layer_axis(axes: Axes, layers: Sequence[int], room: float = 1.0) -> None:
    """Set ticks at whole layer numbers, as many as fit. room: width of the axes as a share of the full width."""
    fit = max(2, round(_MOST_TICKS * room))
    step = next(s * 10**power for power in range(9) for s in (1, 2, 4, 5, 8) if s * 10**power * fit >= len(layers))
    axes.set_xticks(list(layers)[::step])
    axes.set_xlim(min(layers) - 0.5, max(layers) + 0.5)
    axes.set_xlabel("layer (0 is the first block)")


def integer_axis(axis: Axis, last: int) -> None:
    """Set a few ticks at round whole numbers from 1 to `last`, with 1 among them."""
    step = next(s * 10**power for power in range(9) for s in (1, 2, 5) if 6 * s * 10**power >= last)
    axis.set_ticks([1, *(tick for tick in range(step, last + 1, step) if tick > 2 or tick == 2 * step)])


def legend_columns(labels: Sequence[str], size_pt: float = FONT_PT, most: int = 6) -> int:
    """The largest number of columns in which these labels fit into the full width. Columns are filled downward."""
    for columns in range(min(most, len(labels)), 1, -1):
        rows, longer = divmod(len(labels), columns)
        ends = [rows * n + min(n, longer) for n in range(columns + 1)]
        widths = [text_width_pt(labels[a:b], size_pt) + _KEY_EM * size_pt for a, b in pairwise(ends)]
        if sum(widths) <= 72 * FULL_WIDTH_IN:
            return columns
    return 1


def lone_marker(layers: Sequence[int]) -> str:
    """The marker of a line: none, or a dash if there is one layer only, since a line of one value cannot be seen."""
    return "_" if len(layers) == 1 else ""


def name_axis(axes: Axes, names: Sequence[str], width_in: float) -> None:
    """Set names as evenly spaced ticks. They are slanted if they do not fit side by side into `width_in` inches."""
    labels = [plain(name, _LONGEST_TICK) for name in names]
    slanted = text_width_pt(labels) + 6 > 72 * width_in / max(1, len(labels))
    axes.set_xticks(
        range(len(labels)),
        labels,
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    margin = 0.5 if len(labels) > 1 else 1.0
    axes.set_xlim(-margin, len(labels) - 1 + margin)
    axes.tick_params(axis="x", length=0)


def note(axes: Axes, text: str, position: tuple[float, float], **options: object) -> None:
    """Write a short remark on a white background. position: in fractions of the axes."""
    settings: dict[str, object] = {"fontsize": NOTE_PT, "color": GREY, "ha": "center", "va": "center"}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
    axes.text(*position, text, transform=axes.transAxes, bbox=box, **(settings | options))  # pyright: ignore[reportArgumentType]


def _position(method: str, methods: Sequence[str]) -> int:
    others = [m for m in methods if m not in _METHOD_COLORS]
    return others.index(method) if method in others else 0
