"""One look for all figures: paper sizes, colours that the colour-blind tell apart, nothing that does not carry data."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.axes import Axes

FULL_WIDTH_IN = 7.0
COLUMN_WIDTH_IN = 3.4
DPI = 200

# Okabe and Ito's palette; markers and dashes differ too, so that grey print can be read.
_METHOD_COLORS = {"full_finetune": "#0072B2", "lora": "#D55E00"}
_MORE_COLORS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_METHOD_MARKERS = {"full_finetune": "o", "lora": "s"}
_MORE_MARKERS = ("^", "D", "v", "P")
_TITLES = {"full_finetune": "full fine-tuning", "lora": "LoRA"}
GREY = "#6b6b6b"


@contextmanager
def paper_style() -> Generator[None]:
    """matplotlib's settings for every figure, restored afterwards."""
    settings = {
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.labelsize": 8,
        "legend.fontsize": 8,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "lines.linewidth": 1.3,
        "legend.frameon": False,
        "pdf.fonttype": 42,  # text in the PDF stays text
        "ps.fonttype": 42,
        "figure.constrained_layout.use": True,
        "hatch.linewidth": 0.5,
    }
    with mpl.rc_context(settings):  # pyright: ignore[reportArgumentType]
        yield


def method_color(method: str, methods: list[str]) -> str:
    """The fixed colour of a method; others get the next free one."""
    return _METHOD_COLORS.get(method) or _MORE_COLORS[methods.index(method) % len(_MORE_COLORS)]


def method_marker(method: str, methods: list[str]) -> str:
    """The fixed marker of a method."""
    return _METHOD_MARKERS.get(method) or _MORE_MARKERS[methods.index(method) % len(_MORE_MARKERS)]


def method_title(method: str) -> str:
    """A method's name as text."""
    return plain(_TITLES.get(method, method))


def plain(text: str) -> str:
    """`text` from outside as matplotlib should show it: a dollar sign is not the start of a formula."""
    return text.replace("$", r"\$")


def layer_axis(axes: Axes, layers: list[int]) -> None:
    """Whole layer numbers, no more than fit."""
    step = max(1, -(-len(layers) // 12))
    axes.set_xticks(layers[::step])
    axes.set_xlabel("layer (0 is the first block)")
