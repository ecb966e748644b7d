"""One score of a model on each row of a task: what training computes, and outcomes keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RowScores:
    """One score of n rows, as people read it: a loss is a loss.

    name: accuracy, f1, exact_match, loss, ... values: (n,) the model's. weights: (n,) tokens that a value is the mean over;
    None: each is of a whole row. base_values: (n,) the base model's own; None: it cannot do the task.
    """

    name: str
    values: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    base_values: NDArray[np.float64] | None = None
