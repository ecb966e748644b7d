"""RTE with more rows to score by: its 277 leave an interval of seven points on either side, wider than what there is to learn."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

# Beyond all numbers of RTE's own rows, so that a moved row has a name of its own.
_FIRST_MOVED = 100_000


def more_to_score(
    train: Sequence[dict[str, Any]], validation: Sequence[dict[str, Any]], *, at_least: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Moves training rows, at least so many, to the rows for evaluation: (rows for training, rows for evaluation).

    A premise (`sentence1`) moves with all its rows: a premise seen in training would help. Premises are drawn by their text, the same in any order.
    """
    rows_of = Counter(row["sentence1"] for row in train)
    moved: set[str] = set()
    n_moved = 0
    for premise in sorted(rows_of, key=_drawn):
        if n_moved >= at_least:
            break
        moved.add(premise)
        n_moved += rows_of[premise]
    kept = [row for row in train if row["sentence1"] not in moved]
    more = [row | {"idx": row["idx"] + _FIRST_MOVED} for row in train if row["sentence1"] in moved]
    return kept, [*validation, *more]


def _drawn(premise: str) -> str:
    return hashlib.sha256(f"held-out-{premise}".encode()).hexdigest()
