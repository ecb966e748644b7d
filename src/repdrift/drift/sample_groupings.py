"""Groups of samples whose drift is set beside that of the rest: by label, by length, by a user's column, by right and wrong answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdrift.core.records.sample_moves import GroupedBy

MOST_VALUES = 20
"""Most values of a label or a column that make groups."""
_LEAST_NUMBERS = 0.9
"""Share of a column's values that must be numbers, for their thirds to be the groups."""
NO_VALUE = "(no value)"


@dataclass(frozen=True, eq=False)
class Grouping:
    """One group of samples. member: (n,) booleans. column: of the user's, where that tells them apart."""

    by: GroupedBy
    value: str
    member: NDArray[np.bool_]
    column: str | None = None


@dataclass(frozen=True)
class Groupings:
    """All groups of a sample set, and sentences on columns that give none."""

    groups: list[Grouping]
    notes: list[str]


def groupings(
    *,
    labels: Sequence[str | None] | None = None,
    lengths: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str | None]] | None = None,
    answers: Mapping[str, Sequence[bool]] | None = None,
) -> Groupings:
    """Groups of n samples. lengths: in tokens. columns: cells by the name of the column. answers: for each score, whether the tuned model is right."""
    found = Groupings([], [])
    if labels is not None:
        _by_value(found, "label", None, labels, "label")
    if lengths is not None:
        found.groups.extend(_thirds("length", None, np.asarray(lengths, dtype=np.float64), "tokens"))
    for name, cells in (columns or {}).items():
        numbers = _numbers(cells)
        if numbers is not None:
            found.groups.extend(_thirds("column", name, numbers, ""))
        else:
            _by_value(found, "column", name, cells, f"column {name!r}")
    for name, right in (answers or {}).items():
        inside = np.asarray(right, dtype=bool)
        found.groups.extend(
            Grouping("answer", said, side, name) for said, side in (("right", inside), ("wrong", ~inside)) if side.any()
        )
    found.groups[:] = [group for group in found.groups if 0 < group.member.sum() < len(group.member)]
    return found


def distinct_tests(groups: Sequence[Grouping]) -> list[int]:
    """For each group the number of its test: a group and its complement are one, counted from 0."""
    known: dict[bytes, int] = {}
    found: list[int] = []
    for group in groups:
        sides = group.member.tobytes(), (~group.member).tobytes()
        number = next((known[side] for side in sides if side in known), len(set(known.values())))
        known[sides[0]] = number
        found.append(number)
    return found


def _by_value(found: Groupings, by: GroupedBy, column: str | None, cells: Sequence[str | None], what: str) -> None:
    values = list(dict.fromkeys(cells))
    if len(values) > MOST_VALUES:
        found.notes.append(
            f"Samples are not grouped by {what}: it has {len(values)} different values, and {MOST_VALUES} are the most."
        )
        return
    missing = NO_VALUE
    while missing in values:  # a cell may hold just this text
        missing = f"({missing})"
    for value in sorted(values, key=lambda v: (v is None, v or "")):
        member = np.array([cell == value for cell in cells])
        found.groups.append(Grouping(by, missing if value is None else value, member, column))


def _numbers(cells: Sequence[str | None]) -> NDArray[np.float64] | None:
    """The numbers of a column with more values than make groups; NaN for cells that hold none. None if it is no such column."""
    if len(set(cells)) <= MOST_VALUES:
        return None
    found = np.array([_number(cell) for cell in cells])
    return found if np.isfinite(found).mean() >= _LEAST_NUMBERS else None


def _number(cell: str | None) -> float:
    try:
        value = float(cell or "")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _thirds(by: GroupedBy, column: str | None, values: NDArray[np.float64], unit: str) -> list[Grouping]:
    """Three groups of nearly equal size; equal values stay together, so that there may be fewer. None where all are equal."""
    there = np.isfinite(values)
    if not there.any() or np.ptp(values[there]) == 0:
        return []
    ends = np.unique(np.quantile(values[there], [1 / 3, 2 / 3], method="inverted_cdf"))
    places = np.searchsorted(ends, values, side="left")
    groups = [there & (places == place) for place in range(len(ends) + 1)]
    groups = [member for member in groups if member.any()]
    words = {2: ("lower", "upper"), 3: ("lower", "middle", "upper")}.get(len(groups), ("all",))
    if by == "length":
        words = {2: ("short", "long"), 3: ("short", "middle", "long")}.get(len(groups), ("all",))
    return [
        Grouping(by, f"{word} ({_range(values[member], unit)})", member, column)
        for word, member in zip(words, groups, strict=True)
    ]


def _range(values: NDArray[np.float64], unit: str) -> str:
    low, high = float(values.min()), float(values.max())
    text = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"{text} {unit}".rstrip()
