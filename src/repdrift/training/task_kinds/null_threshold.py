"""The null threshold of question answering: by how much an answer must beat "no answer" to be given.

It is chosen for the highest mean F1 on training rows that are set aside and never trained on, whole contexts together. Rows that were
trained on would not do: a model knows their answers.
Source: the threshold of Rajpurkar et al. 2018. Departure: it is chosen on training rows, not on those that are reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import DataError
from repdrift.core.words import chosen_percent, counted
from repdrift.tasks import Row, Rows, TaskSpec
from repdrift.training.held_out_rows import hold_out

MOST_ROWS = 1000
"""The most rows that are set aside: one number is chosen on them."""
LEAST_ROWS = 20
LEAST_OF_A_KIND = 5
"""The fewest rows to choose a threshold on, and the fewest with an answer and without one among them."""


@dataclass(frozen=True)
class SetAside:
    """The training rows, split: those to train on, and those that the threshold is chosen on; these may be none.

    always: every training question has an answer, so that one is always given. said: a sentence on what was done.
    """

    to_train: Sequence[Row]
    chosen_on: Sequence[Row]
    always: bool
    said: str


def set_aside(spec: TaskSpec, rows: Sequence[Row], share: float) -> SetAside:
    """Split the training rows: at most `share` of them, and 1000, are set aside, chosen by hash, whole contexts together.

    None is set aside if the rows with and without an answer among them would be too few for a choice: 20 in all, 5 of either.
    """
    has_answer = [bool(row[spec.label_column or ""]["text"]) for row in rows]
    if all(has_answer):
        said = "Every training question has an answer, so an answer is always given."
        return SetAside(rows, [], always=True, said=said)
    none = SetAside(
        rows, [], always=False, said=f"{_usual(0.0)}: too few training rows, or too few contexts, to set some aside."
    )
    if share == 0 or not any(has_answer):
        why = "no training rows are set aside" if share == 0 else "no training question has an answer"
        return SetAside(rows, [], always=False, said=f"{_usual(0.0)}: {why}.")
    try:
        held = hold_out(spec, Rows(list(rows), "the training rows"), min(share, MOST_ROWS / len(rows)))
    except DataError:
        return none
    answered = sum(bool(row[spec.label_column or ""]["text"]) for row in held.held_out.rows)
    n = len(held.held_out.rows)
    if n < LEAST_ROWS or min(answered, n - answered) < LEAST_OF_A_KIND:
        return none
    said = (
        f"{n} of {counted(len(rows), 'training row')} ({chosen_percent(round(n / len(rows), 3))}, whole contexts, chosen by hash) are not trained on: "
        "the null threshold is chosen on them."
    )
    return SetAside(held.to_train.rows, held.held_out.rows, always=False, said=said)


def best_threshold(
    margins: NDArray[np.float64], f1_if_answered: NDArray[np.float64], f1_if_not: NDArray[np.float64]
) -> float:
    """The threshold with the highest mean F1, where an answer is given if its margin over "no answer" is above it.

    Each argument: (n,), one value for each question; a margin of -inf means that there is no answer to give. Of several
    thresholds the one nearest to 0 is taken, and of an interval of them that does not hold 0, its middle.
    """
    known = np.unique(margins[np.isfinite(margins)])
    if known.size == 0:
        return 0.0
    # Between two neighbouring margins every threshold is alike; below all of them an answer is always given.
    bounds = np.concatenate([[-np.inf], known, [np.inf]])
    gains = np.array([np.where(margins > low, f1_if_answered, f1_if_not).sum() for low in bounds[:-1]])
    best = np.flatnonzero(gains >= gains.max() - 1e-9)
    return min((_inside(bounds[i], bounds[i + 1]) for i in best), key=abs)


def _inside(low: float, high: float) -> float:
    if low <= 0 < high:
        return 0.0
    if math.isinf(low):
        return float(high) - 1.0
    return float(low) if math.isinf(high) else float(low + high) / 2


def _usual(threshold: float) -> str:
    return f"The null threshold is {threshold:g}, so an answer is given if its score is above that of no answer"
