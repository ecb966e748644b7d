"""The runs of one task as paths of score and drift over their checkpoints, or the reason why they cannot be compared so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from repdrift.core.records.run import Learnt
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import counted, listed, method_title, some_listed, task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.statistics import SkillPath, skill_path

CHECKPOINTS_KEY = "set training.all.checkpoints in the study, such as 8, and give it to `repdrift run`, which then trains, scores and extracts them"
_EXTRACT = "run `repdrift extract --checkpoint all`, which notes the scores in the sets that are there"
_SAME_SCORE = 1e-3
"""The share by which constant scores of the same rows may differ: a base model's loss, on another device."""


@dataclass(frozen=True)
class Checkpoint:
    """One saved model of a run, mean drift over layers. score: in its own unit. trained_steps: None where it is not known."""

    step: int
    trained_steps: int | None
    score: float | None
    drift: float


@dataclass(frozen=True)
class TrainedRun:
    """One run with its checkpoints in the order of training, the final model last. path: its smoothed path."""

    task: str
    method: str
    seed: int
    checkpoints: tuple[Checkpoint, ...]
    path: SkillPath


@dataclass(frozen=True)
class TaskPaths:
    """The runs of two methods on one task, with what holds for the scores of all of them. learnt: of one of the final models.

    tolerance: how far scores differ by chance; None if no run's score has an interval. runs: those of the reference, then those of the comparison method.
    """

    task: str
    learnt: Learnt
    tolerance: float | None
    runs: tuple[TrainedRun, ...]

    @property
    def sign(self) -> float:
        """1 if a higher score is better, -1 for a loss."""
        return 1.0 if self.learnt.higher_is_better else -1.0

    @property
    def chance(self) -> float:
        """The score, higher is better, up to which a model may be no better than the best constant answer."""
        return self.sign * self.learnt.constant_score + (self.tolerance or 0.0)


def runs_by_method(runs: Iterable[TrainedRun | RunStatus]) -> list[str]:
    """The runs of each method in a few words: `LoRA, seeds 1, 2 and 3`."""
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(run.method, []).append(str(run.seed))
    return [
        f"{method_title(method)}, seed{'s' if len(of_method) > 1 else ''} {some_listed(of_method, most=10)}"
        for method, of_method in seeds.items()
    ]


def task_paths(rows: pd.DataFrame, statuses: Sequence[RunStatus], task: str, plan: DriftPlan) -> TaskPaths | str:
    """Returns the paths of a task's runs of both methods; or, as a sentence, the reason why there are none and what to do.

    rows: the primary measure's rows of every step. A missing final model is no run here.
    """
    methods = (plan.reference_method, plan.comparison_method)
    there = [s for s in statuses if s.task == task and s.method in methods and s.status == "ok"]
    finals = [s for s in there if s.step == 0]
    for method in methods:
        if not any(s.method == method for s in finals):
            return f"There is no final model of {method_title(method)} on {task_title(task)}."
    learnt = _common_score_kind(finals, task)
    if isinstance(learnt, str):
        return learnt
    drifts = rows[rows["task"] == task].groupby(["method", "seed", "step"])["drift"].agg(_mean_of_all).to_dict()
    found: list[tuple[RunStatus, list[Checkpoint]]] = []
    for final in sorted(finals, key=lambda s: methods.index(s.method)):
        own = [s for s in there if (s.method, s.seed) == (final.method, final.seed)]
        found.append((final, _in_order(own, learnt.metric, drifts)))  # pyright: ignore[reportArgumentType]
    if fault := _fault(found, learnt.metric, task):
        return fault
    gains = [s.learnt for s in finals if s.learnt is not None]
    widths = [(g.high - g.low) / 2 for g in gains if g.low is not None and g.high is not None]
    widths = [
        width for width in widths if width > 0
    ]  # a model that gives the constant answer has an interval of no width
    tolerance = float(np.mean(widths)) if widths else None
    runs = tuple(
        TrainedRun(task, final.method, final.seed, tuple(own), _path(own, final, learnt, tolerance or 0.0))
        for final, own in found
    )
    return TaskPaths(task, learnt, tolerance, runs)


def _mean_of_all(drifts: pd.Series) -> float:
    """The mean over layers; NaN if one has no drift."""
    return float(drifts.mean(skipna=False))


def _common_score_kind(finals: Sequence[RunStatus], task: str) -> Learnt | str:
    """Returns what the final models' scores have in common; or why their scores cannot be compared."""
    on = task_title(task)
    judged = [s.learnt for s in finals if s.learnt is not None]
    if len(judged) < len(finals):
        return f"Which score of {on} is the primary one is not noted for every run, as in files of older versions: {_EXTRACT}."
    first = judged[0]
    if len({found.metric for found in judged}) > 1:
        return f"The runs of {on} have other primary scores: {listed(sorted({found.metric for found in judged}))}."
    rows = sorted({found.n_items for found in judged})
    room = _SAME_SCORE * max(1.0, abs(first.constant_score))
    if len(rows) > 1 or any(abs(found.constant_score - first.constant_score) > room for found in judged):
        numbers = f" ({listed([f'{n:,}' for n in rows])} of them)" if len(rows) > 1 else ""
        return (
            f"The runs of {on} were scored on different rows{numbers}, so that their scores cannot be compared: set one "
            "max_validation_samples for all methods, and train again."
        )
    return first


def _in_order(own: Sequence[RunStatus], metric: str, drifts: dict[tuple[str, int, int], float]) -> list[Checkpoint]:
    """Returns the saved models of one run in the order of training; a checkpoint that is the final model counts once."""
    points = [
        Checkpoint(
            s.step,
            s.trained_steps if s.step == 0 else s.step,
            _score(s.metrics, metric),
            drifts.get((s.method, s.seed, s.step), np.nan),
        )
        for s in own
    ]
    later = sorted((p for p in points if p.step != 0), key=lambda p: p.step)
    final = next(p for p in points if p.step == 0)
    if (
        final.trained_steps is None
    ):  # a set of an older version: the last model, unless it is plainly the last checkpoint
        again = bool(later) and (later[-1].score, later[-1].drift) == (final.score, final.drift)
        return [*(later[:-1] if again else later), final]
    others = [p for p in later if p.step != final.trained_steps]
    return sorted([*others, final], key=lambda p: p.trained_steps or 0)


def _score(metrics: Mapping[str, float | None], metric: str) -> float | None:
    """The score of a saved model; NaN if it was noted and is no finite number, which a file has as null; None if it was not noted."""
    value = metrics.get(metric)
    return np.nan if value is None and metric in metrics else value


def _fault(found: Sequence[tuple[RunStatus, list[Checkpoint]]], metric: str, task: str) -> str | None:
    """Returns the reason why runs have no path, as a sentence that names them; None if all have one."""
    alone = [final for final, own in found if len(own) < 2]
    if alone:
        which = (
            "No run" if len(alone) == len(found) else f"{counted(len(alone), 'run')} of {len(found)} ({_named(alone)})"
        )
        have = "has" if len(alone) in (1, len(found)) else "have"
        no = "a checkpoint" if which == "No run" else "no checkpoint"
        return f"{which} of {task_title(task)} {have} {no} beside the final model: {CHECKPOINTS_KEY}."
    diverged = [final for final, own in found if any(p.score is not None and not np.isfinite(p.score) for p in own)]
    if diverged:
        return (
            f"Checkpoints of {_named(diverged)} on {task_title(task)} have no finite {metric}: training went astray there. Set a lower "
            "learning_rate, and train again."
        )
    bare = [final for final, own in found if any(p.score is None for p in own)]
    if bare:
        return f"Checkpoints of {_named(bare)} on {task_title(task)} have no {metric} noted: {_EXTRACT}."
    without = [final for final, own in found if any(not np.isfinite(p.drift) for p in own)]
    if without:
        return f"Checkpoints of {_named(without)} on {task_title(task)} have no drift in some layer."
    return None


def _path(own: Sequence[Checkpoint], final: RunStatus, learnt: Learnt, tolerance: float) -> SkillPath:
    base = final.metrics.get(f"base_{learnt.metric}")
    return skill_path(
        [p.score for p in own if p.score is not None],  # `_fault` has seen that all have one
        [p.drift for p in own],
        higher_is_better=learnt.higher_is_better,
        start=base,  # a base model that has the score itself, as it has a loss; a new head has none
        tolerance=tolerance,
    )


def _named(runs: Sequence[RunStatus]) -> str:
    return "; ".join(runs_by_method(runs))
