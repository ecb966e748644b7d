"""Drift at equal skill: how far a run had drifted when it reached a score, and a test of two methods at the same score.

A run gives a path through its checkpoints: (score, drift), in the order of training. Scores are noisy, so that a run on a plateau
reaches a higher score by luck, and the more often the more checkpoints lie there. Drift at the running best of the score is
therefore too low for the method that learns less, and a straight line between two checkpoints lies above a drift that grows faster
than the score. In simulated studies with no difference at equal skill, both together rejected up to 40 % (docs/explanation/calibration.md).
So the path is made non-decreasing by isotonic regression, which averages a plateau in place of taking its peak, and is read
with a monotone cubic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator  # pyright: ignore[reportMissingTypeStubs]
from scipy.optimize import isotonic_regression  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from repdrift.core.errors import ConfigError, ShapeError
from repdrift.statistics.arrangements import EXACT_LIMIT, Floats, finite, stratum_labels
from repdrift.statistics.effect_size import EffectSize, mean_reduction
from repdrift.statistics.permutation import PermutationResult, label_permutation_test

Crossing = Literal["reached", "never", "before the first checkpoint"]
"""Whether a path gives a drift at a score: it crosses the score, it never reaches it, or its first checkpoint is above it."""


@dataclass(frozen=True)
class SkillPath:
    """The path of one run, smoothed: scores (k,), higher is better and strictly rising, and drifts (k,).

    n_checkpoints: checkpoints that the path is made of. left_out: checkpoints after the best score, where it had fallen.
    """

    scores: Floats
    drifts: Floats
    n_checkpoints: int
    left_out: int = 0

    @property
    def best(self) -> float:
        """The highest score that the path reaches."""
        return float(self.scores[-1])


@dataclass(frozen=True)
class DriftAtScore:
    """The drift of one run at a score; None unless the path crosses the score."""

    drift: float | None
    crossing: Crossing


@dataclass(frozen=True)
class StratumAtScore:
    """One stratum (task) at equal skill.

    score: where drifts are read, higher is better. chosen: True if it is the largest that every run reaches, False if it was
    given. limiting: the runs, by index, whose best score is the lowest. reference, comparison: one entry for each run.
    reference_runs, comparison_runs: their indices in the lists of paths.
    """

    score: float
    chosen: bool
    limiting: tuple[int, ...]
    reference: tuple[DriftAtScore, ...]
    comparison: tuple[DriftAtScore, ...]
    reference_runs: tuple[int, ...]
    comparison_runs: tuple[int, ...]

    @property
    def entries(self) -> tuple[tuple[int, DriftAtScore], ...]:
        """Every run's index in reference, then comparison, and its drift at the score."""
        runs = (*self.reference_runs, *self.comparison_runs)
        return tuple(zip(runs, (*self.reference, *self.comparison), strict=True))

    @property
    def missing(self) -> str | None:
        """The reason why the methods cannot be compared here, as a clause; None if they can."""
        if any(found.crossing == "before the first checkpoint" for _, found in self.entries):
            return "a run is above the score at its first checkpoint already, so its drift at that score is not known"
        for found in (self.reference, self.comparison):
            if all(at.drift is None for at in found):
                return "no run of one of the methods reaches the score"
        return None


@dataclass(frozen=True)
class EqualSkillResult:
    """A comparison of two methods at equal skill, over one or several strata.

    reduction: 1 - mean(comparison) / mean(reference) of the drifts at the score, means over strata of means. less, greater:
    permutation tests of the runs that reach the score. logarithm: whether they compare log drifts. geometric_reduction: the reduction of
    geometric means, which tests of log drift are about; None without a logarithm. reference, comparison: the drifts in the tests;
    strata: labels of comparison, then of reference.
    """

    reduction: EffectSize
    less: PermutationResult
    greater: PermutationResult
    logarithm: bool
    geometric_reduction: float | None
    reference: Floats
    comparison: Floats
    strata: tuple[str, ...]


def skill_path(
    scores: ArrayLike,
    drifts: ArrayLike,
    *,
    higher_is_better: bool = True,
    start: float | None = None,
    tolerance: float = 0.0,
) -> SkillPath:
    """Returns the path of a run from its scores (c,) and drifts (c,), in the order of training.

    Neighbouring checkpoints whose scores do not rise are pooled to their mean score and mean drift (isotonic regression with equal
    weights). A run that overfits is cut at its best score: if the scores after it lie more than `tolerance` below it on average,
    they are left out, and not pooled. tolerance: how far scores differ by chance, in their unit, such as the half-width of
    their 95 % interval.
    start: the score of the base model before any training, in the unit of `scores`, where it has one. The path then begins
    there, with drift 0. A model with a new head has none, and its path begins at its first checkpoint. Scores of which less
    is better, such as losses, change their sign.
    Raises ShapeError for lists of unequal length or of no checkpoint, NonFiniteError for NaN or Inf, ConfigError for a negative
    tolerance. Source: Barlow et al. 1972, for isotonic regression.
    """
    s, d = finite(scores, "scores"), finite(drifts, "drifts")
    if s.size != d.size:
        raise ShapeError(f"scores and drifts should list the same checkpoints: got {s.size} and {d.size}")
    if not tolerance >= 0:
        raise ConfigError(f"tolerance should be at least 0, got {tolerance}")
    n_checkpoints = s.size
    if start is not None:
        s, d = np.concatenate([finite([start], "start"), s]), np.concatenate([[0.0], d])
    s = s if higher_is_better else -s
    peak = int(s.argmax())
    after = s[peak + 1 :]
    left_out = after.size if after.size and s[peak] - after.mean() > tolerance else 0
    s, d = s[: s.size - left_out], d[: d.size - left_out]
    pooled: Any = isotonic_regression(s)
    edges = np.asarray(pooled.blocks, dtype=np.intp)
    sizes = np.diff(edges)
    return SkillPath(
        np.add.reduceat(s, edges[:-1]) / sizes, np.add.reduceat(d, edges[:-1]) / sizes, n_checkpoints, left_out
    )


def drift_at_score(path: SkillPath, score: float) -> DriftAtScore:
    """Read the drift of a run at `score` (higher is better) off its path, by a monotone cubic; a line between two points.

    A path of one point has a drift at its own score alone. Source: Fritsch and Carlson 1980, as scipy's PchipInterpolator.
    """
    if score > path.best:
        return DriftAtScore(None, "never")
    if score < path.scores[0]:
        return DriftAtScore(None, "before the first checkpoint")
    at = np.flatnonzero(path.scores == score)
    if at.size:
        return DriftAtScore(float(path.drifts[at[0]]), "reached")
    if path.scores.size == 2:
        return DriftAtScore(float(np.interp(score, path.scores, path.drifts)), "reached")
    return DriftAtScore(float(PchipInterpolator(path.scores, path.drifts)(score)), "reached")


def common_score(paths: Sequence[SkillPath]) -> float:
    """Returns the largest score that every path reaches (higher is better). Raises ShapeError if there is no path."""
    if not paths:
        raise ShapeError("a common score needs at least one path, got none")
    return min(path.best for path in paths)


def strata_at_score(
    reference: Sequence[SkillPath],
    comparison: Sequence[SkillPath],
    *,
    strata: Sequence[object] | None = None,
    scores: Mapping[str, float] | None = None,
) -> dict[str, StratumAtScore]:
    """Read every run's drift at the score of its stratum (task). strata: a label for each reference path, then comparison path.

    scores: by stratum a score to compare at, higher is better; a stratum without one is compared at the largest score that
    every run of both methods reaches. That choice sees the paths of both methods alike. So do the runs that never reach a
    given score. If the paths could change their labels, so can the drifts at the score, and a permutation test of these is exact.
    Raises ShapeError if a stratum lacks a method, ConfigError for a score of a stratum that is not there.
    """
    labels = stratum_labels(strata, len(reference) + len(comparison), "path of reference, then of comparison")
    of_reference, of_comparison = labels[: len(reference)], labels[len(reference) :]
    unknown = sorted(set(scores or {}) - set(labels))
    if unknown:
        raise ConfigError(f"scores names {unknown[0]!r}, which no path is of: {', '.join(dict.fromkeys(labels))}")
    found: dict[str, StratumAtScore] = {}
    for label in dict.fromkeys(labels):
        ours = [i for i, other in enumerate(of_reference) if other == label]
        theirs = [i for i, other in enumerate(of_comparison) if other == label]
        if not ours or not theirs:
            raise ShapeError(f"stratum {label!r} has {len(ours)} paths of reference and {len(theirs)} of comparison")
        paths = [*(reference[i] for i in ours), *(comparison[i] for i in theirs)]
        lowest = common_score(paths)
        given = (scores or {}).get(label)
        score = lowest if given is None else given
        runs = (*ours, *(len(reference) + i for i in theirs))
        found[label] = StratumAtScore(
            score,
            given is None,
            tuple(run for run, path in zip(runs, paths, strict=True) if path.best == lowest),
            tuple(drift_at_score(reference[i], score) for i in ours),
            tuple(drift_at_score(comparison[i], score) for i in theirs),
            tuple(ours),
            tuple(len(reference) + i for i in theirs),
        )
    return found


def equal_skill_test(
    at_score: Mapping[str, StratumAtScore],
    *,
    confidence: float = 0.95,
    rounding: float = 0.0,
    n_permutations: int = EXACT_LIMIT,
    seed: int = 0,
) -> EqualSkillResult:
    """Test whether the comparison method drifts less than the reference at equal skill, stratified by task.

    at_score: strata in which the methods can be compared (`missing` is None). Runs that never reach the score are left out:
    the test is then of those that do. rounding: drifts up to this count as 0. Log drifts are compared where all are above it, raw drifts otherwise.
    The test assumes that a run's path does not depend on its label. If one method only learns less, or slower, labels of paths
    cannot be exchanged, but drifts at a score nearly can: see the simulated studies in docs/explanation/calibration.md.
    Raises ShapeError if there is no stratum or one has a reason not to be compared, and what `label_permutation_test` raises.
    """
    if not at_score:
        raise ShapeError("a test at equal skill needs at least one stratum, got none")
    for label, stratum in at_score.items():
        if stratum.missing is not None:
            raise ShapeError(f"stratum {label!r} cannot be compared at equal skill: {stratum.missing}")
    reference, comparison = _drifts(at_score, "reference"), _drifts(at_score, "comparison")
    found = [np.array([drift for _, drift in pairs]) for pairs in (reference, comparison)]
    ours, theirs = (np.where(np.abs(drifts) <= rounding, 0.0, drifts) for drifts in found)
    strata = (*(label for label, _ in comparison), *(label for label, _ in reference))
    swapped = (*(label for label, _ in reference), *(label for label, _ in comparison))
    logarithm = bool(min(ours.min(), theirs.min()) > 0)
    a, b = (np.log(theirs), np.log(ours)) if logarithm else (theirs, ours)
    less, greater = (
        label_permutation_test(a, b, strata=strata, alternative=way, n_permutations=n_permutations, seed=seed)
        for way in ("less", "greater")
    )
    reduction = mean_reduction(ours, theirs, strata=swapped, confidence=confidence)
    geometric = -math.expm1(less.statistic) if logarithm else None
    return EqualSkillResult(reduction, less, greater, logarithm, geometric, ours, theirs, strata)


def _drifts(
    at_score: Mapping[str, StratumAtScore], method: Literal["reference", "comparison"]
) -> list[tuple[str, float]]:
    return [
        (label, at.drift)
        for label, stratum in at_score.items()
        for at in (stratum.reference if method == "reference" else stratum.comparison)
        if at.drift is not None
    ]
