"""Scores of a trained model, row by row, and whether it has learnt its task: is it better than the best constant answer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from repdrift.core.group_words import LEAST_GROUPS
from repdrift.core.records.run import LOSSES, Learnt
from repdrift.core.row_scores import RowScores
from repdrift.statistics import GroupedMean, grouped_mean
from repdrift.statistics.grouped_mean import LEAST_DIFFERING
from repdrift.tasks import Row, TaskSpec
from repdrift.tasks.group_names import groups_of


@dataclass(frozen=True)
class Written:
    """Texts that a model writes for n rows, scored. name: of the scorer. right: (n,) its word on each; constant: (n,) on the text that is right most often, which
    constant_answer tells in words."""

    name: str
    right: NDArray[np.float64]
    constant: NDArray[np.float64]
    constant_answer: str


@dataclass(frozen=True)
class Scored:
    """The scores of one model over n rows.

    metrics: every score by name. metric: the primary one, accuracy, f1 or loss. items: (n,) the primary score of each row,
    higher is better (minus a loss). constant: (n,) that of the best constant answer, which constant_answer has in words.
    groups: n labels that tell which rows belong together, such as questions on one paragraph; None: each row stands alone.
    notes: sentences on how rows were trained on and scored, for the run's record. n_train: rows that were trained on, where it is not
    all that were given. chosen: numbers chosen after training on rows that were not trained on, by name. of_rows: every score that a row
    has by itself, the primary one among them.
    """

    metrics: dict[str, float]
    metric: str
    items: NDArray[np.float64]
    constant: NDArray[np.float64]
    constant_answer: str
    groups: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    n_train: int | None = None
    chosen: dict[str, float | None] = field(default_factory=dict)
    of_rows: tuple[RowScores, ...] = ()
    written: Written | None = None


def compared_with_constant(scored: Scored) -> Learnt:
    """The comparison with the best constant answer: the model has learnt if the 95 % interval of the difference lies above 0.

    The interval is paired over rows, and whole groups are drawn, see statistics.grouped_mean(). Under 10 groups it is not
    known. With 5 rows or fewer that differ, whichever is better, it is not shown that the model has learnt. Where the task scores what the model
    writes, that must beat the best constant text as well.
    Raises NonFiniteError if a score is NaN or Inf.
    """
    found, said = _compared(scored.metric, scored.items, scored.constant, scored.constant_answer, scored.groups)
    if scored.written is None:
        return found
    by = scored.written
    written, said_of_text = _compared(by.name, by.right, by.constant, by.constant_answer, scored.groups)
    verdicts = (found.learnt, written.learnt)
    learnt = False if False in verdicts else None if None in verdicts else True
    sentence = f"{said}; and what it writes: {said_of_text}: {_VERDICTS[learnt]}."
    return found.model_copy(update={"learnt": learnt, "written": written, "sentence": sentence})


_VERDICTS = {
    True: "it has learnt its task",
    False: "it has not learnt its task",
    None: "not known whether it has learnt",
}


def _compared(
    metric: str,
    items: NDArray[np.float64],
    constants: NDArray[np.float64],
    constant_answer: str,
    groups: Sequence[str] | None,
) -> tuple[Learnt, str]:
    """The comparison, and its sentence without the verdict."""
    found = grouped_mean(items - constants, groups)
    sign = -1.0 if metric in LOSSES else 1.0
    score, constant = sign * float(np.mean(items)), sign * float(np.mean(constants))
    learnt: bool | None = found.interval is not None and found.interval.low > 0
    if found.n_groups < LEAST_GROUPS:
        learnt = None
    units = "rows" if groups is None else f"groups of rows that belong together ({len(items)} rows)"
    said = f"{metric} {score:.3f}, and {constant:.3f} for the best constant answer ({constant_answer}): {_gain(found, learnt, units)}"
    compared = Learnt(
        metric=metric,
        score=score,
        constant_answer=constant_answer,
        constant_score=constant,
        difference=found.mean,
        low=found.interval.low if found.interval is not None else None,
        high=found.interval.high if found.interval is not None else None,
        n_items=len(items),
        n_groups=found.n_groups,
        learnt=learnt,
        sentence=f"{said}: {_VERDICTS[learnt]}.",
    )
    return compared, said


def _gain(found: GroupedMean, learnt: bool | None, units: str) -> str:
    if found.interval is not None:
        low, high = found.interval
        return f"a gain of {found.mean:.3f} (95 % interval {low:.3f} to {high:.3f} over {found.n_groups} {units})"
    if learnt is None:
        return f"a gain of {found.mean:.3f}, over {found.n_groups} {units}; an interval needs {LEAST_GROUPS} at least"
    return (
        f"a gain of {found.mean:.3f}, and different in {found.n_differing} of {found.n_groups} {units}; "
        f"fewer than {LEAST_DIFFERING} show nothing"
    )


def named_groups(spec: TaskSpec, rows: Sequence[Row]) -> list[str] | None:
    """The group of every row by the column that the task names for it; None if it names none, or these rows lack it."""
    found = groups_of(spec, rows) if spec.group_column is not None else None
    return None if found is None else list(found)


def rows_sharing_a_text(columns: Sequence[Sequence[str]]) -> list[str] | None:
    """Groups of rows that belong together since they share a text, directly or through other rows: one label for each row.

    columns: the texts of every row, column by column. A text that every row has, such as one fixed question, joins nothing.
    None if no two rows share a text.
    """
    n = len(columns[0])
    parents = list(range(n))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    for texts in columns:
        first: dict[str, int] = {}
        for row, text in enumerate(texts):
            first.setdefault(text, row)
        if len(first) == 1 and len(columns) > 1:
            continue
        for row, text in enumerate(texts):
            parents[root(row)] = root(first[text])
    roots = [root(row) for row in range(n)]
    return None if len(set(roots)) == n else [str(r) for r in roots]
