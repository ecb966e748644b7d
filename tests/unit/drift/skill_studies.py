"""Studies with checkpoints whose scores and drifts are given: the tidy table and the runs' statuses."""

import numpy as np
import pandas as pd

from repdrift.core.records.study_info import RunStatus
from tests.unit.drift.study_on_disk import judged

STEPS = (1, 5, 20, 80, 250)
CONSTANT = 0.5


def law(score, ratio=1.0):
    """The drift of a run that has a score: grows faster than the score."""
    return ratio * 0.4 * np.maximum(np.asarray(score) - 0.45, 0.0) ** 1.5


def run_of(task, method, seed, scores, drifts, *, metric="accuracy", learnt=None, steps=STEPS):
    """Rows and statuses of one run. The last of scores and drifts is the final model's; a None score is not noted."""
    learnt = judged(True, scores[-1] or 0.8, CONSTANT) if learnt is None else learnt
    rows, statuses = [], []
    places = [*steps[: len(scores) - 1], 0]
    for step, score, drift in zip(places, scores, drifts, strict=True):
        metrics = {} if score is None else {metric: score}
        statuses.append(
            RunStatus(
                task=task, method=method, seed=seed, step=step, status="ok", metrics=metrics, learnt=learnt if step == 0 else None,
                trained_steps=step or steps[len(scores) - 1],
            )
        )  # fmt: skip
        rows += [
            {"task": task, "method": method, "seed": seed, "step": step, "layer": layer, "measure": "cka", "drift": drift * share, "noise_floor": np.nan}
            for layer, share in enumerate((0.5, 1.5))
        ]  # fmt: skip
    return rows, statuses


def study_of(runs):
    """The table and the statuses of runs."""
    rows, statuses = zip(*runs, strict=True)
    return pd.DataFrame([row for part in rows for row in part]), [s for part in statuses for s in part]


def learning(top, *, ratio=1.0, wobble=1.0, steps=STEPS):
    """Scores that saturate at `top`, and the drifts that the law gives them."""
    scores = CONSTANT + (top - CONSTANT) * (1 - np.exp(-np.array(steps) / 40))
    return scores.tolist(), (law(scores, ratio) * wobble).tolist()


def two_arms(tasks=("t",), *, seeds=(1, 2, 3), tops=(0.85, 0.75), ratio=1.0, methods=("full_finetune", "lora"), **more):
    """Runs of two methods that end at other scores. ratio: drift of the second at equal score."""
    g = np.random.default_rng(0)
    found = []
    for task in tasks:
        for method, top, share in zip(methods, tops, (1.0, ratio), strict=True):
            for seed in seeds:
                scores, drifts = learning(top + 0.01 * g.random(), ratio=share, wobble=np.exp(0.03 * g.normal()))
                found.append(run_of(task, method, seed, scores, drifts, **more))
    return found
