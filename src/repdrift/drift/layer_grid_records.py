"""From rows of two models to the record of their layer grids: what a comparison and a study share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import DegenerateInputError, RepdriftError
from repdrift.core.group_words import is_grouped, no_interval_because
from repdrift.core.records.layer_grid import BestLayer, GridKind, GridMatrix, ModelGrid, RowIs
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.words import counted, layers_named, sentence_case
from repdrift.similarity import Measure, Representation, measure
from repdrift.similarity.layer_grids import LayerSide, sample_parts
from repdrift.similarity.layer_matches import LayerMatch, match_layers
from repdrift.similarity.uncertainty.best_matches import TIE
from repdrift.similarity.uncertainty.sample_groups import degrees_of_freedom, group_parts

Rows = Mapping[int, Tensor]

_MOST_PARTS = 1000
"""Samples up to which each is left out by itself; of more, `_PARTS` parts at random are."""
_PARTS = 100
_LEAST = 10
"""The fewest samples of which an interval is made."""

TIES = {"float32": TIE, "float16": 1e-4, "bfloat16": 1e-3}
"""By the format in which models run: similarities that differ by no more are never told apart."""


@dataclass(frozen=True)
class GridUnits:
    """Parts of the samples that are left out in turn for the intervals.

    parts: (n,), the part of each row; None: there is no interval, for the reason `missing`. freedom: of Student's t. said: the method in words.
    """

    parts: NDArray[np.int64] | None
    freedom: float | None = None
    said: str | None = None
    missing: str | None = None

    @classmethod
    def of(cls, n: int, groups: Sequence[str] | None, unit: str) -> GridUnits:
        """Choose the units of n rows. groups: for each row the group that it belongs to; None: each stands alone. unit: a group in one word."""
        if groups is not None and is_grouped(groups):
            if (missing := no_interval_because(groups, unit)) is not None:
                return cls(None, missing=missing)
            parts = group_parts(groups, _PARTS, seed=0)
            return cls(parts, degrees_of_freedom(parts), f"jackknife over {counted(len(set(groups)), unit)}")
        if n < _LEAST:
            return cls(None, missing=f"there are {counted(n, 'text')}, and an interval needs {_LEAST} at least")
        parts = sample_parts(n, _MOST_PARTS if n <= _MOST_PARTS else _PARTS)
        count = int(parts.max()) + 1
        left_out = "" if count == n else f", left out in {count} parts"
        return cls(parts, count - 1.0, f"jackknife over {counted(n, 'text')}{left_out}")


@dataclass
class BaseGrid:
    """The base model's layers, prepared once for all models that are compared with it. rows: by layer, (n, p)."""

    rows: Rows
    units: GridUnits
    row_is: RowIs = "text"
    tie: float = TIE

    def __post_init__(self) -> None:
        self._side = LayerSide(self.rows, self.units.parts)
        self._representations: dict[int, Representation | str] = {}

    def with_model(
        self, tuned: Rows, *, by_number: bool = True, measures: Sequence[str] = (), notes: Sequence[str] = ()
    ) -> ModelGrid:
        """Compare a tuned model's rows of the same samples. measures: others than debiased CKA, which is always taken.

        Raises ShapeError unless the samples are as many; NonFiniteError naming the layer; DegenerateInputError if no layer of a model has a value.
        """
        side = LayerSide(tuned, self.units.parts)
        try:
            found = match_layers(self._side, side, freedom=self.units.freedom, by_number=by_number, tie=self.tie)
        except RepdriftError as error:
            raise type(error)(f"layer grid: {error}") from error
        if not found.of_tuned:
            raise DegenerateInputError(
                f"no layer can be compared: {next(iter((self._side.missing | side.missing).values()))}"
            )
        base_layers, layers = self._side.layers, side.layers
        kinds: list[tuple[GridKind, list[int], list[int], NDArray[np.float64]]] = [
            ("base_tuned", base_layers, layers, found.base_tuned.values),
            ("base_base", base_layers, base_layers, found.base_base.values),
            ("tuned_tuned", layers, layers, found.tuned_tuned.values),
        ]
        matrices = [_matrix(kind, PRIMARY_MEASURE, rows, columns, values) for kind, rows, columns, values in kinds]
        said = [*_missing("base model", self._side), *_missing("tuned model", side)]
        others = _OtherMeasures(self.rows, tuned)
        for name in dict.fromkeys(measures):
            if name != PRIMARY_MEASURE:
                matrices += others.matrices(name)
        return ModelGrid(
            row_is=self.row_is,
            rows=int(next(iter(tuned.values())).shape[0]),
            matrices=matrices,
            of_tuned=[_record(match) for match in found.of_tuned],
            of_base=[_record(match) for match in found.of_base],
            interval=self.units.said,
            no_interval=self.units.missing,
            by_number=by_number,
            notes=[*notes, *said, *others.notes],
        )


class _OtherMeasures:
    """Grids of two models by measures without an interval. Each layer is checked once for all measures."""

    def __init__(self, base: Rows, tuned: Rows) -> None:
        self._sides = {"base": _representations(base), "tuned": _representations(tuned)}
        self.notes: list[str] = []

    def matrices(self, name: str) -> list[GridMatrix]:
        """All three grids of one measure; where a layer has no value, a note says why."""
        m = measure(name)
        prepared = {which: self._prepared(m, which) for which in self._sides}
        found: list[GridMatrix] = []
        kinds: tuple[tuple[GridKind, str, str], ...] = (
            ("base_tuned", "base", "tuned"),
            ("base_base", "base", "base"),
            ("tuned_tuned", "tuned", "tuned"),
        )
        for kind, first, second in kinds:
            a, b = prepared[first], prepared[second]
            values = np.full((len(a), len(b)), np.nan)
            for i, x in enumerate(a.values()):
                for j, y in enumerate(b.values()):
                    if x is not None and y is not None:
                        values[i, j] = self._compared(m, x, y)
            found.append(_matrix(kind, name, sorted(a), sorted(b), values))
        return found

    def _prepared(self, m: Measure, which: str) -> dict[int, object | None]:
        found: dict[int, object | None] = {}
        for layer, side in sorted(self._sides[which].items()):
            found[layer] = None
            try:
                found[layer] = None if side is None else (side, m.prepare(side))
            except DegenerateInputError as error:
                self._note(f"{m.name} has no value for layer {layer} of the {which} model: {error}.")
        return found

    def _compared(self, m: Measure, x: object, y: object) -> float:
        (left, a), (right, b) = x, y  # pyright: ignore[reportGeneralTypeIssues]
        if m.same_width and left.p != right.p:
            self._note(
                f"{m.name} takes equal numbers of features, and there are {left.p} and {right.p}: its grid lacks these pairs."
            )
            return np.nan
        try:
            return m.compare(a, b)
        except DegenerateInputError as error:
            self._note(f"{m.name} has no value for some pairs of layers: {error}.")
            return np.nan

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _representations(rows: Rows) -> dict[int, Representation | None]:
    found: dict[int, Representation | None] = {}
    for layer, values in rows.items():
        try:
            found[layer] = Representation(values)
        except DegenerateInputError:  # debiased CKA has said so
            found[layer] = None
    return found


def _missing(whose: str, side: LayerSide) -> list[str]:
    by_reason: dict[str, list[int]] = {}
    for layer, reason in side.missing.items():
        by_reason.setdefault(reason, []).append(layer)
    return [
        f"{sentence_case(layers_named(layers))} of the {whose} cannot be compared: {reason}."
        for reason, layers in by_reason.items()
    ]


def _matrix(
    kind: GridKind, name: str, rows: Sequence[int], columns: Sequence[int], values: NDArray[np.float64]
) -> GridMatrix:
    return GridMatrix(
        kind=kind,
        measure=name,
        row_layers=list(rows),
        column_layers=list(columns),
        values=[[float(v) if np.isfinite(v) else None for v in row] for row in values],
    )


def _record(match: LayerMatch) -> BestLayer:
    return BestLayer(**{**vars(match), "as_good": list(match.as_good)})
