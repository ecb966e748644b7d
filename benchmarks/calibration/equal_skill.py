"""Comparisons at equal skill: rejections where an arm only learns less, and power where it truly drifts less for the same score.

    python benchmarks/calibration/equal_skill.py                  # about five minutes on one core
    python benchmarks/calibration/equal_skill.py --studies 300

Every run learns along its own saturating curve and drifts by one law of its skill, times noise of the run and of the checkpoint; scores
have noise. In true nulls that law is the same for both arms, which differ in how much or how fast they learn. Prints, for each truth
and design, the share of studies in which a one-sided test at 0.05 rejects: of final drifts, of drifts at the running best of the score with
straight lines between checkpoints, and of the analysis (smoothed path, monotone cubic; also the opposite claim); how often the
95 % interval of the reduction covers the truth; and the two-sided regression.

Exit code 1 if the analysis rejects a true null in less than 3 % or more than 7 % of studies (10 % where some runs never reach a
named score, as docs/explanation/calibration.md states), or its interval covers in less than 93 %,
each by more than two Monte Carlo standard errors.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.calibration.models import SPREAD
from repdrift.statistics import (
    equal_skill_test,
    label_permutation_test,
    skill_path,
    skill_regression,
    strata_at_score,
)

Floats = NDArray[np.float64]
ALPHA = 0.05
CHANCE, TOP, LAST_STEP, PACE = 0.5, 0.32, 250, 60.0
DRAWS = 499
"""A test by (1 + hits) / (1 + draws) keeps its level with any number of draws."""
LEVELS = (0.03, 0.07)
"""The shares between which a test at 0.05 should reject a true null."""


@dataclass(frozen=True)
class Truth:
    """One truth. The comparison arm learns `learns` times as much, `pace` times as fast, and drifts `ratio` times as much for its skill.

    power: drift grows as skill to this power. noise: of the score of a checkpoint.
    named: a score of the study, None for the best that every run reaches. stated: the largest share of false rejections that is
    stated for this truth.
    """

    words: str
    learns: float = 1.0
    pace: float = 1.0
    ratio: float = 1.0
    power: float = 2.5
    noise: float = 0.012
    checkpoints: int = 8
    named: float | None = None
    stated: float = LEVELS[1]


TRUTHS = (
    Truth("alike"),
    Truth("learns 15 % less", learns=0.85),
    Truth("learns 30 % less", learns=0.7),
    Truth("learns half as fast", pace=0.5),
    Truth("learns 30 % less; 16 checkpoints", learns=0.7, checkpoints=16),
    Truth("learns 30 % less; twice the noise of scores", learns=0.7, noise=0.025),
    Truth("learns 30 % less; drift as the fourth power of skill", learns=0.7, power=4.0),
    Truth("learns 15 % less; score named that some runs never reach", learns=0.85, named=0.765, stated=0.1),
    Truth("drifts 25 % less for the same skill", ratio=0.75),
    Truth("learns 15 % less, drifts 25 % less for the same skill", learns=0.85, ratio=0.75),
)
DESIGNS = {"5 v 5 seeds, 1 task": (5, 1), "3 v 3 seeds, 4 tasks": (3, 4)}


@dataclass(frozen=True)
class Run:
    """One simulated run, checkpoints in order."""

    task: str
    arm: int
    number: int
    scores: Floats
    drifts: Floats


def drawn(truth: Truth, seeds: int, tasks: int, generator: np.random.Generator) -> list[Run]:
    """Draw the runs of one study; arm 0 is the reference."""
    steps = np.geomspace(1, LAST_STEP, truth.checkpoints).round()
    runs: list[Run] = []
    for task in range(tasks):
        for arm in (0, 1):
            for number in range(seeds):
                top = TOP * (truth.learns if arm else 1.0) * math.exp(0.05 * generator.standard_normal())
                pace = (truth.pace if arm else 1.0) * math.exp(0.2 * generator.standard_normal()) / PACE
                skill = top * (1 - np.exp(-pace * steps))
                wobble = SPREAD * generator.standard_normal() + 0.03 * generator.standard_normal(steps.size)
                drifts = (truth.ratio if arm else 1.0) * 0.3 * (skill / 0.3) ** truth.power * np.exp(wobble)
                scores = CHANCE + skill + truth.noise * generator.standard_normal(steps.size)
                runs.append(Run(str(task), arm, number, scores, drifts))
    return runs


@dataclass
class Tally:
    """What the simulated studies of one truth and design gave; p-values by procedure. covered: intervals that hold the truth."""

    pvalues: dict[str, list[float]] = field(default_factory=dict)
    covered: list[bool] = field(default_factory=list)
    reductions: list[float] = field(default_factory=list)
    without: int = 0

    def add(self, name: str, pvalue: float | None) -> None:
        """Note a p-value; None where the procedure gives none."""
        if pvalue is not None:
            self.pvalues.setdefault(name, []).append(pvalue)

    def share(self, name: str) -> float:
        """The share of studies in which the procedure rejects."""
        found = self.pvalues.get(name, [])
        return float(np.mean([p <= ALPHA * (1 + 1e-9) for p in found])) if found else math.nan


END, LINES, PATHS, OPPOSITE, REGRESSION = "end", "running best, lines", "smoothed path", "the opposite", "regression"


def simulate(truth: Truth, design: tuple[int, int], studies: int, seed: int) -> Tally:
    """Apply every procedure to simulated studies."""
    tally = Tally()
    for number in range(studies):
        runs = drawn(truth, *design, np.random.default_rng([seed, number]))
        arms = [[run for run in runs if run.arm == arm] for arm in (0, 1)]
        strata = [run.task for arm in (1, 0) for run in arms[arm]]
        tally.add(END, _less([[run.drifts[-1] for run in arm] for arm in arms], strata))
        tally.add(LINES, _by_lines(arms, strata, truth.named))
        paths = [[skill_path(r.scores, r.drifts, tolerance=2 * truth.noise) for r in arm] for arm in arms]
        named = None if truth.named is None else dict.fromkeys(strata, truth.named)
        at = strata_at_score(paths[0], paths[1], strata=[run.task for arm in arms for run in arm], scores=named)
        at = {task: stratum for task, stratum in at.items() if stratum.missing is None}
        if not at:
            tally.without += 1
        else:
            found = equal_skill_test(at, n_permutations=DRAWS, seed=number)
            tally.add(PATHS, found.less.pvalue)
            tally.add(OPPOSITE, found.greater.pvalue)
            tally.reductions.append(found.reduction.estimate or 0.0)
            if found.reduction.interval is not None:
                low, high = found.reduction.interval
                tally.covered.append(low <= 1 - truth.ratio <= high)
        tally.add(REGRESSION, _by_regression(runs, truth))
    return tally


def _less(drifts: Sequence[Sequence[float]], strata: Sequence[str]) -> float:
    return label_permutation_test(
        np.log(drifts[1]), np.log(drifts[0]), strata=strata, alternative="less", n_permutations=DRAWS
    ).pvalue


def _by_lines(arms: Sequence[Sequence[Run]], strata: Sequence[str], named: float | None) -> float | None:
    """The p of drifts at the running best of the score, with straight lines between checkpoints: what the analysis does not do."""
    drifts: list[list[float]] = [[], []]
    kept: list[list[str]] = [[], []]
    for task in dict.fromkeys(strata):
        here = [[run for run in arm if run.task == task] for arm in arms]
        score = named or min(float(run.scores.max()) for arm in here for run in arm)
        for arm, of_task in enumerate(here):
            for run in of_task:
                best = np.maximum.accumulate(run.scores)
                first = int((best < score).sum())
                if first in (0, best.size):
                    continue
                share = (score - best[first - 1]) / (best[first] - best[first - 1])
                drifts[arm].append(float(run.drifts[first - 1] + share * (run.drifts[first] - run.drifts[first - 1])))
                kept[arm].append(task)
    if set(kept[0]) != set(strata) or set(kept[1]) != set(strata):
        return None
    return _less(drifts, [*kept[1], *kept[0]])


def _by_regression(runs: Sequence[Run], truth: Truth) -> float | None:
    points = [(run, k) for run in runs for k in range(run.scores.size) if run.scores[k] > CHANCE + 2 * truth.noise]
    return skill_regression(
        [run.drifts[k] for run, k in points],
        [run.scores[k] for run, k in points],
        compared=[run.arm == 1 for run, _ in points],
        runs=[f"{run.arm} {run.number}" for run, _ in points],
        strata=[run.task for run, _ in points],
    ).pvalue


def fails(truth: Truth, tally: Tally) -> bool:
    """Whether the analysis is outside of its targets by more than two Monte Carlo standard errors."""
    given = max(1, len(tally.pvalues.get(PATHS, [])))
    room = [2 * math.sqrt(level * (1 - level) / given) for level in (LEVELS[0], truth.stated, 0.93)]
    covers = float(np.mean(tally.covered)) if tally.covered else 1.0
    outside = covers < 0.93 - room[2]
    if truth.ratio == 1.0:
        outside |= not LEVELS[0] - room[0] <= tally.share(PATHS) <= truth.stated + room[1]
    return outside


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate and print a Markdown table; returns 1 if the analysis is outside of its targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    names = (END, LINES, PATHS, OPPOSITE, REGRESSION)
    print(
        "| the comparison arm | design | at the end | running best, lines | **smoothed path** | its opposite | regression | interval covers | mean "
        "reduction at equal skill | studies without |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    failed = False
    for truth in TRUTHS:
        for words, design in DESIGNS.items():
            tally = simulate(truth, design, given.studies, given.seed)
            failed |= fails(truth, tally)
            shares = " | ".join(f"{100 * tally.share(name):.1f}" for name in names)
            covers = f"{100 * float(np.mean(tally.covered)):.1f}" if tally.covered else "none"
            mean = f"{100 * float(np.mean(tally.reductions)):.1f} %" if tally.reductions else "none"
            print(f"| {truth.words} | {words} | {shares} | {covers} | {mean} | {tally.without} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
