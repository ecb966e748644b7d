"""What a chart of the page has drawn, read off its SVG: marks, their places, and the scale that its axis has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.browser.opened_page import OpenedPage

_READ = """view => [...document.querySelectorAll(`.chart[data-view="${view}"] svg`)].map((svg) => {
  const centre = (node) => { const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
  const marks = [...svg.querySelectorAll('.mark-symbol > *')].filter((node) => node.__data__.datum.arm !== undefined).map((node) => {
    return { datum: node.__data__.datum, at: centre(node) };
  });
  const axes = [...svg.querySelectorAll('.role-axis')].map((axis) => [...axis.querySelectorAll('.role-axis-label text')]
    .filter((node) => node.getAttribute('opacity') !== '0').map((node) => [node.textContent, centre(node)]));
  const title = svg.querySelector('.role-title-text text') ?? svg.closest('.panel').querySelector('.panel-title');
  return { title: title?.textContent ?? '', marks, axes };
})"""


@dataclass(frozen=True)
class Mark:
    """One point of a chart: the row that it stands for, and where its middle is, in pixels of the window."""

    row: dict[str, Any]
    x: float
    y: float


@dataclass(frozen=True)
class Panel:
    """One chart of a view."""

    title: str
    marks: list[Mark]
    y_labels: list[tuple[float, float]]
    """The numbers beside the vertical axis, each with its place in pixels."""

    def read_off(self, y: float, *, logarithmic: bool = False) -> float:
        """The value that a reader reads off the axis at this height of the window, between two of its labels."""
        turn, back = (math.log10, lambda power: 10**power) if logarithmic else (float, float)
        (low, low_at), (high, high_at) = self.y_labels[0], self.y_labels[-1]
        share = (y - low_at) / (high_at - low_at)
        return back(turn(low) + share * (turn(high) - turn(low)))


def panels(shown: OpenedPage, view: str) -> list[Panel]:
    """The charts that a view has drawn, with the marks that stand for one row; means and controls are left out."""
    return [
        Panel(
            each["title"],
            [Mark(mark["datum"], *mark["at"]) for mark in each["marks"] if "_row" in mark["datum"]],
            [(told, at[1]) for text, at in _vertical(each["axes"]) if (told := number(text)) is not None],
        )
        for each in shown.ask(_READ, view)
    ]


def lone_marks(found: list[Panel], count: int) -> list[Mark]:
    """Marks from all over the panels that have no other within four pixels, so that a pointer means no other."""
    marks = [mark for panel in found for mark in panel.marks]
    alone = [
        mark for mark in marks if sum(abs(mark.x - each.x) < 4 and abs(mark.y - each.y) < 4 for each in marks) == 1
    ]
    assert len(alone) >= count, f"{len(alone)} marks stand alone"
    return alone[:: len(alone) // count][:count]


def drawn_rows(shown: OpenedPage, view: str) -> list[dict[str, Any]]:
    """The rows that the points of a view stand for, over all panels."""
    return [mark.row for panel in panels(shown, view) for mark in panel.marks]


def _vertical(axes: list[list[Any]]) -> list[Any]:
    """The labels of the axis along which they lie one above the other."""
    for labels in axes:
        if len(labels) > 1 and len({round(at[1]) for _, at in labels}) == len(labels):
            return labels
    raise AssertionError(f"no vertical axis with two labels among {axes}")


def number(text: str) -> float | None:
    """The number that a label says, such as `-0.5`, `1,000` or `50%`; None if it says none."""
    plain = text.replace("\u2212", "-").replace(",", "")
    try:
        return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)
    except ValueError:
        return None
