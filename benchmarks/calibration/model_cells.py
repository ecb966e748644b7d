"""Level A: tests and intervals over trained models, and the truths that they are held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.calibration import layer_procedures as layers
from benchmarks.calibration import procedures as one
from benchmarks.calibration.cells import Cell, coverage, rejections
from benchmarks.calibration.limits import model_limit
from benchmarks.calibration.models import SPREAD, Study
from benchmarks.calibration.procedures import Procedure, Reported

LEVEL = "models"
DESIGNS = ((3, 3), (5, 5), (10, 10), (2, 3), (3, 10))
TASKS = (1, 4)
NOISES: tuple[dict, ...] = (
    {},
    {"noise": "t3"},
    {"spreads": (3 * SPREAD, SPREAD)},
    {"spreads": (SPREAD, 3 * SPREAD)},
)


@dataclass(frozen=True)
class Plan:
    """One truth and design, and everything that is held to it. share: the share of the studies that is simulated, for plans that take long."""

    study: Study
    procedures: tuple[Procedure, ...]
    share: float = 1.0


def plans() -> list[Plan]:
    """Returns all plans of this level."""
    found: list[Plan] = []
    for models in DESIGNS:
        for tasks in TASKS:
            for noise in NOISES:
                found += _comparisons(models, tasks, noise)
            for noise in NOISES[:2]:
                found += _over_layers(models, tasks, noise)
    found += [Plan(Study((5, 5), tasks), (one.RELATED,)) for tasks in TASKS]
    for models, interaction in (((3, 3), 0.0), ((3, 3), SPREAD), ((5, 5), SPREAD)):
        study = Study(models, 4, ratio=0.8, centre="log", interaction=interaction)
        found.append(Plan(study, (one.MIXED_MODEL,), share=0.05))
    return found


def _comparisons(models: tuple[int, int], tasks: int, noise: dict) -> Iterator[Plan]:
    null = Study(models, tasks, **noise)
    yield Plan(null, (one.LABELS, one.DIFFERENCE, *((one.UNRELATED,) if not noise else ())))
    yield Plan(Study(models, tasks, ratio=0.8, **noise), (one.MARGIN_TESTS, one.RATIO, one.REDUCTION))
    yield Plan(Study(models, tasks, ratio=1.25, **noise), (one.EQUIVALENCE,))
    yield Plan(Study(models, tasks, centre="log", **noise), (one.LOG_LABELS,))
    across = (one.INTERACTION,) if tasks > 1 else ()
    yield Plan(Study(models, tasks, ratio=0.8, centre="log", **noise), (one.LOG_RATIO, one.CLIFFS_DELTA, *across))
    if models[0] == models[1]:
        yield Plan(Study(models, tasks, paired=True, centre="log", **noise), (one.SIGN_FLIP,))


def _over_layers(models: tuple[int, int], tasks: int, noise: dict) -> Iterator[Plan]:
    paired = models[0] == models[1] and not noise
    yield Plan(Study(models, tasks, layers=12, **noise), (layers.FAMILIES, layers.CLUSTER))
    yield Plan(Study(models, tasks, layers=12, ratio=(0.5,) * 4 + (1.0,) * 8, **noise), (layers.FAMILIES,))
    if paired:
        yield Plan(Study(models, tasks, layers=12, paired=True), (layers.BASE_DISTANCE,))


def simulate(plan: Plan, simulations: int, seed: int) -> list[Cell]:
    """Simulate a plan; returns one cell for each number that its procedures report."""
    outcomes: list[list[list]] = [[[] for _ in procedure.reported] for procedure in plan.procedures]
    for number in range(max(1, round(plan.share * simulations))):
        a, b = plan.study.draw(np.random.default_rng([seed, number]))
        for procedure, lists in zip(plan.procedures, outcomes, strict=True):
            for values, outcome in zip(lists, procedure.run(plan.study, a, b, number), strict=True):
                values.append(outcome)
    return [
        _cell(plan.study, reported, values)
        for procedure, lists in zip(plan.procedures, outcomes, strict=True)
        for reported, values in zip(procedure.reported, lists, strict=True)
    ]


def _cell(study: Study, reported: Reported, outcomes: list) -> Cell:
    tails = None
    if reported.is_share:
        share, given = float(np.mean(outcomes)), len(outcomes)
    elif reported.truth is None:
        share, given = rejections(outcomes)
    else:
        share, given, tails = coverage(outcomes, reported.truth(study))
    return Cell(
        level=LEVEL,
        what=reported.name,
        truth=study.truth,
        design=study.words,
        kind=reported.kind,
        share=share,
        simulations=len(outcomes),
        given=given,
        exact_level=study.exact_level if reported.label_test else None,
        tails=tails,
        limit=model_limit(reported.name, study),
    )
