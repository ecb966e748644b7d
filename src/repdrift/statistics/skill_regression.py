"""Second opinion on drift at equal skill: a regression of log drift on score with an effect of the method, over all checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import Interval, student_quantile, upper_level
from repdrift.core.errors import ShapeError
from repdrift.statistics.arrangements import Floats, finite, stratum_labels

LEAST_RUNS = 3
"""The fewest runs beyond the strata and the effect of the method that allow errors clustered by run."""


@dataclass(frozen=True)
class SkillRegression:
    """The reduction at equal score by regression, 1 - exp(effect of the comparison method on log drift), and its two-sided interval.

    pvalue: two-sided, for a reduction of 0. n_points: checkpoints in the fit. n_runs: clusters. missing: why there are no numbers.
    """

    reduction: float | None
    interval: Interval | None
    pvalue: float | None
    n_points: int
    n_runs: int
    missing: str | None = None


def skill_regression(
    drifts: ArrayLike,
    scores: ArrayLike,
    *,
    compared: Sequence[bool],
    runs: Sequence[object],
    strata: Sequence[object] | None = None,
    confidence: float = 0.95,
) -> SkillRegression:
    """Regress log drift on score, score squared and method, over checkpoints, with errors clustered by run.

    The error is that of the jackknife that leaves out a run at a time: with few checkpoints in reach of one another the sandwich
    formula takes a fit that one run holds for a sure one.

    drifts, scores: (c,), one per checkpoint; higher scores are better. compared: True for checkpoints of the comparison method.
    runs: the run of each checkpoint. strata: its task; intercept, slope and curvature are each task's own, the effect of the
    method is one for all. Of each task only the range of scores that both methods have enters, because the relation is taken to
    be a parabola there; and only drifts above zero.
    Student's t has runs - strata - 1 degrees of freedom. There are no numbers, for the reason `missing`, with fewer than three of
    these, a task whose methods share no range of scores, or a design that cannot tell the terms apart.
    Raises ShapeError for lists of unequal length, NonFiniteError, ConfigError unless 0 < confidence < 1.
    Source: MacKinnon, Nielsen and Webb 2023, the cluster jackknife (CV3); statsmodels' OLS. Departure: the degrees of freedom.
    """
    upper = upper_level(confidence)
    d, s = finite(drifts, "drifts"), finite(scores, "scores")
    tasks = np.array(stratum_labels(strata, d.size, "checkpoint"))
    method, run = np.array(compared, dtype=np.bool_), np.array([str(r) for r in runs])
    if not d.size == s.size == method.size == run.size:
        raise ShapeError(
            f"each list should have an entry for every checkpoint: got {d.size} drifts, {s.size} scores, {method.size} methods, {run.size} runs"
        )
    kept = _in_shared_range(d, s, method, tasks)
    if isinstance(kept, str):
        return _none(kept, d, run)
    d, s, tasks, method, run = d[kept], s[kept], tasks[kept], method[kept], run[kept]
    names = list(dict.fromkeys(tasks.tolist()))
    clusters = np.unique(np.char.add(np.char.add(tasks, "\0"), run), return_inverse=True)[1]
    n_runs = int(clusters.max()) + 1
    freedom = n_runs - len(names) - 1
    if freedom < LEAST_RUNS:
        return _none(
            f"{n_runs} runs have checkpoints in the shared range of scores; too few for an error over runs", d, run
        )
    design = _design(s, tasks, names, method)
    if d.size <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        return _none("the checkpoints in the shared range of scores cannot tell method and score apart", d, run)
    fitted = _fit(np.log(d), design, clusters)
    if fitted is None:
        return _none(
            "without one of the runs the checkpoints in the shared range of scores cannot tell method and score apart",
            d,
            run,
        )
    effect, error = fitted
    if error == 0:
        return _none("log drift does not vary about the fit", d, run)
    reach = student_quantile(upper, freedom) * error
    return SkillRegression(
        reduction=1 - float(np.exp(effect)),
        interval=Interval(1 - float(np.exp(effect + reach)), 1 - float(np.exp(effect - reach))),
        pvalue=float(2 * stdtr(freedom, -abs(effect / error))),
        n_points=int(d.size),
        n_runs=n_runs,
    )


def _in_shared_range(drifts: Floats, scores: Floats, method: np.ndarray, tasks: np.ndarray) -> np.ndarray | str:
    """Returns which checkpoints have a drift above zero and a score that both methods have; or why a task has none."""
    kept = drifts > 0
    for task in dict.fromkeys(tasks.tolist()):
        here = (tasks == task) & (drifts > 0)
        ours, theirs = scores[here & ~method], scores[here & method]
        if not ours.size or not theirs.size:
            return f"{task}: one of the methods has no checkpoint with a drift above 0"
        low, high = max(ours.min(), theirs.min()), min(ours.max(), theirs.max())
        if low >= high:
            return f"{task}: no range of scores is shared by both methods"
        kept &= (tasks != task) | ((scores >= low) & (scores <= high))
    return kept


def _design(scores: Floats, tasks: np.ndarray, names: Sequence[str], method: np.ndarray) -> Floats:
    """Columns: for each task its intercept, score and score squared, in units of the task's own spread; then the method."""
    columns: list[Floats] = []
    for name in names:
        here = tasks == name
        centred = np.where(here, scores - scores[here].mean(), 0.0)
        unit = np.abs(centred).max() or 1.0
        columns += [here.astype(np.float64), centred / unit, (centred / unit) ** 2]
    return np.column_stack([*columns, method.astype(np.float64)])


def _fit(log_drift: Floats, design: Floats, clusters: np.ndarray) -> tuple[float, float] | None:
    """Returns the effect of the method, the last column, and its standard error by leaving out one run at a time.

    None if some run alone holds the fit, so that the terms cannot be told apart without it.
    """
    from statsmodels.regression.linear_model import OLS  # pyright: ignore[reportMissingTypeStubs]

    def effect(kept: np.ndarray) -> float | None:
        if np.linalg.matrix_rank(design[kept]) < design.shape[1]:
            return None
        model: Any = OLS(log_drift[kept], design[kept])
        return float(model.fit().params[-1])

    whole = effect(np.full(log_drift.size, True))
    without = [effect(clusters != run) for run in range(int(clusters.max()) + 1)]
    known = [value for value in without if value is not None]
    if whole is None or len(known) < len(without):
        return None
    squares = np.square(np.array(known) - whole).sum()
    return whole, float(np.sqrt((len(known) - 1) / len(known) * squares))


def _none(reason: str, drifts: Floats, runs: np.ndarray) -> SkillRegression:
    return SkillRegression(None, None, None, int(drifts.size), len(set(runs.tolist())), reason)
