"""The fields in which two configurations of a study differ, by their dotted paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class FieldDifference:
    """A field with two values. path: keys and positions from the top. absent: None stands for a key that is not there."""

    path: tuple[str, ...]
    before: Any
    now: Any

    @property
    def dotted(self) -> str:
        """The path as the command line writes it, such as `training.all.epochs`."""
        return ".".join(f'"{part}"' if "." in part else part for part in self.path)

    def __str__(self) -> str:
        return f"{self.dotted} {_short(self.before)} -> {_short(self.now)}"


def field_differences(before: Any, now: Any, path: tuple[str, ...] = ()) -> list[FieldDifference]:
    """Returns where two contents differ, as deep down as both are mappings, or lists of equal length. None counts as an empty mapping beside one."""
    if before == now:
        return []
    if isinstance(now, Mapping) and before is None and now:
        before = {}
    if isinstance(before, Mapping) and now is None and before:
        now = {}
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        ours, theirs = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", now)
        return [
            found
            for key in dict.fromkeys([*ours, *theirs])
            for found in field_differences(ours.get(key), theirs.get(key), (*path, str(key)))
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            found
            for number, (left, right) in enumerate(zip(before, now, strict=True))
            for found in field_differences(left, right, (*path, str(number)))
        ]
    return [FieldDifference(path, before, now)]


def _short(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
