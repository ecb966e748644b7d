"""The steps after which a run saves its weights and scores them, and the choice of the model that it keeps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import NonFiniteError
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER
from repdrift.core.row_scores import RowScores
from repdrift.training.options import TrainingOptions
from repdrift.training.scores import Scored


def checkpoint_steps(options: TrainingOptions, total: int) -> list[int]:
    """The optimiser steps, from 1 to `total`, after which the weights are saved, ascending.

    `checkpoints` of them lie on a log scale from step 1 to the last one; with fewer steps than that, each step is one.
    """
    if options.checkpoint_every is not None:
        return list(range(options.checkpoint_every, total + 1, options.checkpoint_every))
    return [] if options.checkpoints is None else log_spaced_steps(options.checkpoints, total)


def log_spaced_steps(count: int, total: int) -> list[int]:
    """`count` different whole numbers from 1 to `total`, as near to evenly spaced on a log scale as whole numbers can be.

    The first is 1 and the last `total`; for `count` 1 it is `total` alone. All numbers up to `total` if there are no more.
    """
    if count >= total:
        return list(range(1, total + 1))
    if count == 1:
        return [total]
    steps: list[int] = []
    for wanted in np.geomspace(1, total, count):
        # The wanted numbers bend upward, so that those pushed up at the lower end never reach `total` early.
        steps.append(max(round(float(wanted)), steps[-1] + 1 if steps else 1))
    return steps


class CheckpointSchedule:
    """Does what is to be done after the steps that are `due`; `saved` has those that it was done after."""

    def __init__(self, due: Iterable[int], reached: Callable[[int], None]) -> None:
        self._due = frozenset(due)
        self._reached = reached
        self.saved: list[int] = []

    def after_step(self, step: int) -> None:
        """Save and score the model if that is due after `step`."""
        if step in self._due:
            self._reached(step)
            self.saved.append(step)


@dataclass
class CheckpointScores:
    """The scores of a run's checkpoints, by step.

    evaluate: scores the model over the validation rows. evaluate_held_out: over the rows that `keep: best` holds out of
    training; None if it does not. words: the run, for messages.
    """

    words: str
    evaluate: Callable[[], Scored]
    evaluate_held_out: Callable[[], Scored] | None = None
    scored: dict[int, Scored] = field(default_factory=dict)
    held_out: dict[int, Scored] = field(default_factory=dict)

    def score(self, step: int) -> None:
        """Score the model as it is after `step`, if it was not. Raises NonFiniteError if it gives NaN."""
        if step in self.scored:
            return
        try:
            self.scored[step] = self.evaluate()
            if self.evaluate_held_out is not None:
                self.held_out[step] = self.evaluate_held_out()
        except NonFiniteError as error:
            raise NonFiniteError(f"{self.words}, after step {step}: {error}") from error

    def as_json(self) -> dict[str, Any]:
        """All scores as plain JSON, for the state of a training that is not finished."""
        return {
            name: [[step, *_scored_json(scored)] for step, scored in found.items()]
            for name, found in (("scored", self.scored), ("held_out", self.held_out))
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over the scores that `as_json` gave."""
        for name, found in (("scored", self.scored), ("held_out", self.held_out)):
            for step, metrics, metric, items, constant, answer, groups, notes, n_train, chosen, *of_rows in content[
                name
            ]:
                found[step] = Scored(
                    metrics,
                    metric,
                    np.asarray(items),
                    np.asarray(constant),
                    answer,
                    groups,
                    tuple(notes),
                    n_train,
                    chosen,
                    tuple(_row_scores(*score) for score in (of_rows[0] if of_rows else [])),  # older states have none
                )

    def best(self) -> int:
        """The step with the highest primary score on the rows held out; the earliest of several."""
        found = self.held_out_scores()
        return max(found, key=lambda step: (found[step], -step))

    def held_out_scores(self) -> dict[int, float]:
        """The primary score on the rows held out, by step; higher is better."""
        return {step: float(np.mean(scored.items)) for step, scored in self.held_out.items()}


def _scored_json(scored: Scored) -> list[Any]:
    groups = None if scored.groups is None else list(scored.groups)
    items, constant = scored.items.tolist(), scored.constant.tolist()
    of_rows = [[s.name, *map(_listed, (s.values, s.weights, s.base_values))] for s in scored.of_rows]
    how = [list(scored.notes), scored.n_train, scored.chosen, of_rows]
    return [scored.metrics, scored.metric, items, constant, scored.constant_answer, groups, *how]


def _listed(values: NDArray[np.float64] | None) -> list[float] | None:
    return None if values is None else values.tolist()


def _row_scores(
    name: str, values: list[float], weights: list[float] | None, base_values: list[float] | None
) -> RowScores:
    def array(given: list[float] | None) -> NDArray[np.float64] | None:
        return None if given is None else np.array(given, dtype=np.float64)

    return RowScores(name, np.array(values, dtype=np.float64), array(weights), array(base_values))


def keep_checkpoint(folder: Path, step: int) -> None:
    """Copy the checkpoint of `step` to the place of the run's final model."""
    place = folder / MODEL_FOLDER
    with storage_errors(place):
        shutil.copytree(folder / CHECKPOINT_FOLDER / f"step_{step:06d}", place)
