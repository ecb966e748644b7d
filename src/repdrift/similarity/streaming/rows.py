"""Rows kept as they came: smaller than moments while there are few, and good for every measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import DataError, ShapeError


class PairedRows:
    """Rows of a base and K tuned models, in their own type, with or without row numbers."""

    def __init__(self, n_tuned: int) -> None:
        self._sides: list[list[Tensor]] = [[] for _ in range(1 + n_tuned)]
        self._numbers: list[Tensor] = []
        self.n = 0

    @property
    def nbytes(self) -> int:
        """Memory of the rows."""
        return sum(part.numel() * part.element_size() for side in self._sides for part in side)

    @property
    def features(self) -> int | None:
        """Features p, known from the first row on."""
        return self._sides[0][0].shape[1] if self.n else None

    @property
    def numbered(self) -> bool | None:
        """Whether rows came with numbers; None before the first."""
        return bool(self._numbers) if self.n else None

    @property
    def device(self) -> torch.device | None:
        """Where the rows are; None before the first."""
        return self._sides[0][0].device if self.n else None

    def add(self, sides: Sequence[Tensor], numbers: Tensor | None) -> None:
        """Keep copies of checked rows, (t, p) for the base and each tuned model, with their numbers (t,)."""
        if sides[0].shape[0] == 0:
            return
        for side, rows in zip(self._sides, sides, strict=True):
            side.append(rows.clone())
        if numbers is not None:
            self._numbers.append(numbers)
        self.n += sides[0].shape[0]

    def joined(self, other: PairedRows) -> PairedRows:
        """Both's rows, these first; tensors are shared, on the device of these."""
        both = PairedRows(len(self._sides) - 1)
        device = self.device or other.device
        both._sides = [
            [part.to(device) for part in a + b] for a, b in zip(self._sides, other._sides, strict=True)
        ]  # fmt: skip
        both._numbers, both.n = self._numbers + other._numbers, self.n + other.n
        return both

    def tables(self) -> list[Tensor]:
        """The rows of the base and of each tuned model, (n, p) each, as they came."""
        return [torch.cat(side) for side in self._sides]

    def in_order(self) -> tuple[list[Tensor], Tensor | None]:
        """As `tables`, ascending by number where rows are numbered; and the numbers (n,).

        Raises DataError for a number that occurs twice: the same sample was counted twice.
        """
        tables = self.tables()
        if not self._numbers:
            return tables, None
        numbers, order = torch.cat(self._numbers).sort()
        twice = (numbers[1:] == numbers[:-1]).nonzero()
        if twice.numel():
            number = int(numbers[int(twice[0])])
            raise DataError(f"row number {number} came twice: a sampler that pads its last batch counts samples twice")
        return [table.index_select(0, order.to(table.device)) for table in tables], numbers

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values, for `torch.save`."""
        return {
            "sides": self.tables() if self.n else None,
            "numbers": torch.cat(self._numbers) if self._numbers else None,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], n_tuned: int, device: torch.device | str | None = None) -> PairedRows:
        """What `to_dict` gave, copied. Raises DataError if it is not for that many models."""
        rows = cls(n_tuned)
        sides = saved["sides"]
        if sides is None:
            return rows
        if len(sides) != 1 + n_tuned or any(side.shape != sides[0].shape for side in sides):
            raise DataError(f"saved rows are not those of a base and {n_tuned} tuned models")
        rows.add([side.to(device or side.device) for side in sides], saved["numbers"])
        return rows


def row_numbers(numbers: Tensor | Sequence[int] | None, t: int) -> Tensor | None:
    """Row numbers as an integer tensor (t,) on the CPU. Raises ShapeError unless they are t integers."""
    if numbers is None:
        return None
    found = torch.as_tensor(numbers)
    if (t and (found.is_floating_point() or found.is_complex())) or tuple(found.shape) != (t,):
        raise ShapeError(f"row numbers should be {t} integers, got {found.dtype} of shape {tuple(found.shape)}")
    return found.to("cpu", torch.int64, copy=True)
