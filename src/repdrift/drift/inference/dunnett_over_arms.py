"""Dunnett's test of several arms against one reference, quoted beside Holm's correction, which decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError, ShapeError
from repdrift.statistics import dunnett_test


@dataclass(frozen=True)
class LogDrifts:
    """Logarithms of the drifts of one arm and of the reference, one for each model, with the model's task."""

    comparison: NDArray[np.floating]
    comparison_tasks: Sequence[str]
    reference: NDArray[np.floating]
    reference_tasks: Sequence[str]


def dunnett_over_arms(arms: Sequence[LogDrifts]) -> list[float] | None:
    """Step-down p of each arm for drifting less than the reference, with one family-wise error over all of them.

    None where its assumptions do not hold or were not tried by simulation (docs/explanation/calibration.md): other models of the reference for some arm,
    unequal numbers of models in the cells of method and task, or models of a cell that do not vary.
    """
    first = arms[0]
    alike = all(
        list(arm.reference_tasks) == list(first.reference_tasks) and np.array_equal(arm.reference, first.reference)
        for arm in arms
    )
    cells = [Counter(first.reference_tasks), *(Counter(arm.comparison_tasks) for arm in arms)]
    if not alike or len({count for cell in cells for count in cell.values()}) != 1:
        return None
    try:
        found = dunnett_test(
            [arm.comparison for arm in arms],
            first.reference,
            strata=[first.reference_tasks, *(arm.comparison_tasks for arm in arms)],
            alternative="less",
        )
    except (DegenerateInputError, ShapeError):
        return None
    return [float(p) for p in found.step_down]
