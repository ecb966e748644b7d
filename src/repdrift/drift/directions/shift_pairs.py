"""Likeness of the shifts of every two models over the same samples; in a study, computed once for all sections that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from repdrift.core.errors import RepdriftError
from repdrift.core.group_words import LEAST_GROUPS, is_grouped, no_interval_because
from repdrift.drift.directions.measuring import DirectionSettings
from repdrift.drift.task_sets import OpenedSet, TaskSets, read_layer
from repdrift.similarity.arrays import Array
from repdrift.similarity.directions.differences import Differences, differences
from repdrift.similarity.directions.likeness import ShiftLikeness, likeness_of_shifts

_NOT_MOVED = "a model did not move here"

PairsOfLayer = dict[tuple[int, int], ShiftLikeness | str]
"""By the places of two models, the smaller first: the likeness of their shifts, or the reason why there is none."""


def pairs_of_layer(
    base: Array,
    rows: Mapping[int, Array],
    groups: Sequence[Hashable] | None,
    *,
    confidence: float = 0.95,
    is_wanted: Callable[[int, int], bool] = lambda *_: True,
    with_interval: Callable[[int, int], bool] = lambda *_: False,
) -> PairsOfLayer:
    """Compares the mean differences tuned - base of every two models in one layer.

    base: (n, p), and rows: (n, p) by the model's place, the same n samples in the same order. groups: of the samples; None: each by itself.
    """
    moved: dict[int, Differences | str] = {}
    for place, of_model in rows.items():
        try:
            found = differences(base, of_model, groups)
            moved[place] = _NOT_MOVED if found.are_rounding else found
        except RepdriftError as error:
            moved[place] = str(error)
    result: PairsOfLayer = {}
    for i, j in combinations(sorted(moved), 2):
        if is_wanted(i, j):
            result[i, j] = _likeness(moved[i], moved[j], confidence, with_interval=with_interval(i, j))
    return result


def _likeness(
    first: Differences | str, second: Differences | str, confidence: float, *, with_interval: bool
) -> ShiftLikeness | str:
    if isinstance(first, str) or isinstance(second, str):
        return first if isinstance(first, str) else str(second)
    try:
        return likeness_of_shifts(first, second, confidence=confidence, with_interval=with_interval)
    except RepdriftError as error:
        return str(error)


@dataclass(frozen=True)
class TaskPairs:
    """The final models of one task, and by layer the likeness of their shifts. whole: of every two; else of those of one method."""

    models: list[OpenedSet]
    layers: dict[int, PairsOfLayer]
    whole: bool


class ShiftPairs:
    """Keeps the pairs of each task, so that a section takes what an earlier one has computed."""

    def __init__(self) -> None:
        self._found: dict[str, TaskPairs] = {}

    def of(self, sets: TaskSets, settings: DirectionSettings, *, whole: bool) -> TaskPairs:
        """Returns the pairs of a task; those of one method have intervals where the samples allow it. whole: pairs of two methods too."""
        there = self._found.get(sets.task)
        if there is None or (whole and not there.whole):
            there = self._found[sets.task] = _pairs(sets, settings, whole=whole)
        return there


def _pairs(sets: TaskSets, settings: DirectionSettings, *, whole: bool) -> TaskPairs:
    models = [run for run in sets.runs if run.plan.step == 0]
    groups = settings.groups if is_grouped(settings.groups) else None

    def of_one_method(i: int, j: int) -> bool:
        return models[i].plan.method == models[j].plan.method

    def is_wanted(i: int, j: int) -> bool:
        return whole or of_one_method(i, j)

    any_pair = any(is_wanted(i, j) for i, j in combinations(range(len(models)), 2))
    layers: dict[int, PairsOfLayer] = {}
    for layer in sets.base.layers if any_pair else ():
        base = read_layer(sets.base, layer)
        enough = no_interval_because(settings.groups, settings.unit) is None and len(base) >= LEAST_GROUPS
        layers[layer] = pairs_of_layer(
            base,
            {place: read_layer(run.stored, layer) for place, run in enumerate(models)},
            groups,
            confidence=settings.confidence,
            is_wanted=is_wanted,
            with_interval=lambda i, j, enough=enough: enough and of_one_method(i, j),
        )
    return TaskPairs(models, layers, whole)
