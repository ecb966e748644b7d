"""A part of the training rows that is held out of training, so that a choice can rest on it: by hash, whole groups together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from repdrift.core.errors import DataError
from repdrift.core.words import chosen_percent, counted
from repdrift.tasks import Row, Rows, TaskSpec
from repdrift.training.scores import rows_sharing_a_text

LEAST_ROWS = 4
"""The fewest rows, and groups of rows, that are held out, and that are left to train on."""


@dataclass(frozen=True)
class HeldOut:
    """The two parts of the training rows: those to train on, and those held out. said: both in words."""

    to_train: Rows
    held_out: Rows
    n_groups: int
    said: str


def hold_out(spec: TaskSpec, rows: Rows, share: float, *, never: Sequence[Row] = ()) -> HeldOut:
    """Split training rows in two; at most `share` of them are held out.

    Rows that share a text, a group that a column names, or for question answering a context, stay together. The groups with the smallest hashes of
    a row's id are held out, save those that hold a row with the texts of a row in `never` (the validation rows, so that no
    choice rests on what is reported). The choice depends on no seed. Both parts keep the order of the rows.
    Raises DataError if fewer than 4 groups can be held out, or fewer than 4 rows are left.
    """
    labels = _groups(spec, rows)
    reported = {_texts(row, spec) for row in never}
    barred = {label for label, row in zip(labels, rows.rows, strict=True) if _texts(row, spec) in reported}
    members: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        members.setdefault(label, []).append(number)
    order = sorted(
        members.keys() - barred,
        key=lambda label: _hash(spec, [rows.rows[number] for number in members[label]], members[label][0]),
    )
    most = int(share * len(rows.rows))
    taken: set[int] = set()
    n_groups = 0
    for label in order:
        if len(taken) + len(members[label]) <= most:
            taken.update(members[label])
            n_groups += 1
    left = len(rows.rows) - len(taken)
    if n_groups < LEAST_ROWS or left < LEAST_ROWS:
        also = f"; {counted(len(barred), 'group')} of them stand among the validation rows too" if barred else ""
        raise DataError(
            f"task {spec.name!r}: a share of {chosen_percent(share)} of {counted(len(rows.rows), 'training row')} in "
            f"{counted(len(members), 'group')} of rows that share a text ({rows.source}{also}) is to be held out, which gives "
            f"{counted(n_groups, 'group')} and leaves {counted(left, 'row')} to train on; at least {LEAST_ROWS} of each are needed. Give more "
            "rows (max_train_samples, or a larger file), or another share."
        )
    units = "" if n_groups == len(taken) else f" ({counted(n_groups, 'group')} of rows that share a text)"
    return HeldOut(
        to_train=replace(rows, rows=[row for number, row in enumerate(rows.rows) if number not in taken]),
        held_out=replace(rows, rows=[rows.rows[number] for number in sorted(taken)]),
        n_groups=n_groups,
        said=f"{len(taken)} of {counted(len(rows.rows), 'training row')}{units} were held out, chosen by the hash of their ids",
    )


def _groups(spec: TaskSpec, split: Rows) -> list[str]:
    """A label for each row: rows with the same label share a text, or a group of the user's column, directly or through other rows.

    Where texts are shared so widely that more than half of the rows hang together, such as a few instructions for many
    prompts, only rows with all texts alike belong together.
    """
    rows = split.rows
    named = [] if split.group_column is None else [[row[split.group_column] for row in rows]]
    columns = spec.text_columns[1:] if spec.kind == "extractive_qa" else spec.text_columns
    alone = [str(number) for number in range(len(rows))]
    found = rows_sharing_a_text([*named, *([str(row[column]) for row in rows] for column in columns)]) or alone
    if max(Counter(found).values(), default=0) <= len(rows) / 2:
        return found
    return rows_sharing_a_text([*named, ["\0".join(_texts(row, spec)) for row in rows]]) or alone


def _texts(row: Row, spec: TaskSpec) -> tuple[str, ...]:
    return tuple(str(row[column]) for column in spec.text_columns)


def _hash(spec: TaskSpec, group: Sequence[Row], number: int) -> bytes:
    # Another text than that of tasks.choose_rows, which would hold out those that max_train_samples takes first.
    name = min(str(row[spec.id_column]) for row in group) if spec.id_column else str(number)
    return hashlib.sha256(f"{spec.name}\0held out\0{name}".encode()).digest()
