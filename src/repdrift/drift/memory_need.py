"""Memory that measuring one layer takes: how many prepared models are kept of it, and whether it is there at all.

For M sets of n rows and p features, in bytes. Of one prepared model 24 np, and 10 n^2 for a pairwise measure. While a measure works: 32 np,
40 n^2 for a pairwise measure, and 32 n^2 for the resamples of up to 8,192 rows (2^29 for more rows). The resamples themselves take B n.
The files' rows are mapped, not copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repdrift.core.errors import InsufficientMemoryError
from repdrift.core.memory import available_memory_bytes
from repdrift.drift.sample_intervals import MOST_ROWS
from repdrift.similarity import measure

KEPT_BYTES = 2 << 30
"""Prepared models of one layer take at most this, or as much as three of them take."""

_SECOND_ORDER_ROWS = 8192
_LEAST = 3
"""Prepared models that are in memory at once, at the least: the base model and two others."""


@dataclass(frozen=True)
class LayerSize:
    """The size of one layer of a task: its sets, their rows and features, and the resamples that are drawn of the rows."""

    sets: int
    rows: int
    features: int
    replicates: int

    def kept_bytes(self, name: str) -> int:
        """Bytes kept of one model that is prepared for a measure."""
        return 24 * self.rows * self.features + (10 * self.rows**2 if measure(name).pairwise else 0)

    def shared_bytes(self, names: Sequence[str]) -> int:
        """Bytes kept of all models if everything that the measures derive of them stays until all measures are taken."""
        pairwise = sum(measure(name).pairwise for name in names)
        return self.sets * (48 * self.rows * self.features + 24 * pairwise * self.rows**2)

    def needed_bytes(self, names: Sequence[str]) -> int:
        """The least memory in which all measures can be taken, one after the other."""
        return self._resampling_bytes + max(
            _LEAST * self.kept_bytes(name) + self._working_bytes(name) for name in names
        )

    def _working_bytes(self, name: str) -> int:
        return 32 * self.rows * self.features + (40 * self.rows**2 if measure(name).pairwise else 0)

    @property
    def _resampling_bytes(self) -> int:
        if not self.replicates or self.rows > MOST_ROWS:
            return 0
        forms = 32 * self.rows**2 if self.rows <= _SECOND_ORDER_ROWS else 1 << 29
        return forms + self.replicates * self.rows


def require_memory(size: LayerSize, names: Sequence[str], where: str) -> None:
    """Raises InsufficientMemoryError if measuring a layer of `where` would take more memory than is free."""
    free, need = available_memory_bytes(), size.needed_bytes(names)
    if free is None or need <= free:
        return
    pairwise = [name for name in names if measure(name).pairwise]
    most = f"Leave out {', '.join(pairwise)}, which compare every two rows" if pairwise else "Extract fewer samples"
    if size.replicates and size.rows <= MOST_ROWS and not pairwise:
        most += ", or take no resamples (`replicates: 0` under `analysis:` in the study)"
    raise InsufficientMemoryError(
        f"{where}: to measure {size.rows:,} rows of width {size.features:,} takes about {_gb(need)} GB of memory, and {_gb(free)} GB "
        f"are free. {most}, or use a machine with more memory."
    )


class PreparedModels(Sequence[Any]):
    """Models of one layer, each prepared for a measure when it is first asked for. The `most` that were asked for last are kept."""

    def __init__(self, prepare: Callable[[int], Any], count: int, most: int) -> None:
        self._prepare, self._count, self.most = prepare, count, max(_LEAST - 1, most)
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        """Number of models."""
        return self._count

    def __getitem__(self, index: Any) -> Any:
        """One prepared model."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        if len(self._kept) >= self.most:
            self._kept.popitem(last=False)  # before the next one is made
        self._kept[index] = found = self._prepare(index)
        return found


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f}"
