"""Choices of a table: which rows, columns and numbers it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.errors import UnknownNameError


@dataclass(frozen=True)
class TableOptions:
    """The choices of a table. Empty or None: what fits the results.

    rows, columns: tasks, arms, layers, models, numbers. show: names of quantities. measure: another one than the study's primary measure.
    layers: some of them, for a table by layer. digits: significant digits of an estimate.
    """

    rows: str = ""
    columns: str = ""
    show: Sequence[str] = ()
    measure: str = ""
    layers: Sequence[int] = ()
    digits: int = 2
    caption: str = ""
    label: str = ""


def chosen_names(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """Returns the quantities that were asked for, in the order of the known ones; a comma parts several. Raises UnknownNameError."""
    names = [name.strip().replace("-", "_") for text in wanted for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UnknownNameError.of("number", name, [each.replace("_", "-") for each in known])
    return [name for name in known if name in names]
