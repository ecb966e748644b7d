"""Widths of figures on the printed page, by venue, and the height that a figure may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import matplotlib as mpl

from repdrift.core.errors import UnknownNameError

Width = Literal["one-column", "two-column"]
Venue = Literal["acl", "neurips"]
WIDTHS: tuple[Width, ...] = get_args(Width)
VENUES: tuple[Venue, ...] = get_args(Venue)

_CM = 1 / 2.54
_INCHES: dict[Venue, dict[Width, float]] = {
    # Two columns of 7.7 cm with 0.6 cm between them, on A4 with margins of 2.5 cm (instructions for *ACL proceedings).
    "acl": {"one-column": 7.7 * _CM, "two-column": 16.0 * _CM},
    # One column of 5.5 in (33 picas). Its `one-column` figure is one of two that stand beside each other, 0.2 in apart.
    "neurips": {"one-column": 2.65, "two-column": 5.5},
}
MOST_HEIGHT_IN = 8.4
"""Tallest figure: a page of NeurIPS has 9 in of text (ACL: 9.7), and the caption needs some of it."""
NARROW_IN = 4.0
"""Figures below this width have one column of panels where wider ones have two."""


@dataclass(frozen=True)
class FigureSize:
    """The width of a figure in print."""

    width: Width = "two-column"
    venue: Venue = "acl"

    @property
    def inches(self) -> float:
        """The width in inches."""
        return _INCHES[self.venue][self.width]


def figure_size(width: str, venue: str) -> FigureSize:
    """Returns the size of these names. Raises UnknownNameError for a width or venue that is not known."""
    for kind, name, known in (("width", width, WIDTHS), ("venue", venue, VENUES)):
        if name not in known:
            raise UnknownNameError.of(kind, name, known)
    return FigureSize(width, venue)  # pyright: ignore[reportArgumentType]


def page_width_in() -> float:
    """The width in inches of the figure that is being drawn, from matplotlib's settings."""
    return float(mpl.rcParams["figure.figsize"][0])


def is_narrow() -> bool:
    """True if the figure that is being drawn has the width of a column."""
    return page_width_in() < NARROW_IN
