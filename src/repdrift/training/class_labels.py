"""Classes of a classification task: the distinct labels of its rows, in a fixed order, one for each output of the head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.words import counted
from repdrift.tasks import ClassValue, Row, Rows, TaskSpec

_SHOWN = 12


@dataclass(frozen=True)
class ClassLabels:
    """Classes of a task: output i of the head stands for `values[i]`. said: the same in a sentence, with the training rows of each."""

    column: str
    values: tuple[ClassValue, ...]
    said: str
    named: bool = False
    """Whether the task names its classes; then the rows hold their numbers already."""

    def numbered(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Returns the rows with the number of the class, from 0, in place of the class."""
        if self.named:
            return rows
        numbers = {value: number for number, value in enumerate(self.values)}
        return [{**row, self.column: numbers[row[self.column]]} for row in rows]


def class_labels(spec: TaskSpec, train: Rows, validation: Rows) -> ClassLabels:
    """Finds the classes of a task in its training and evaluation rows, sorted; those of a task that names them are fixed.

    Raises ConfigError if the task has no label column. Raises DataError if the files hold labels of different kinds, an
    evaluation label is not among the training rows, or there is only one class.
    """
    column = spec.label_column
    if column is None:
        raise ConfigError(f"task {spec.name!r} has no label column: it can be measured, not trained on")
    counts = Counter(row[column] for row in train.rows)
    if spec.label_names:
        named: Counter[ClassValue] = Counter({name: counts[i] for i, name in enumerate(spec.label_names)})
        return ClassLabels(column, spec.label_names, _said(spec, named), named=True)
    found = [value for rows in (train, validation) for value in {row[column] for row in rows.rows}]
    kinds = {type(value) for value in found}
    if len(kinds) > 1:
        examples = " and ".join(
            repr(next(v for v in found if type(v) is kind)) for kind in sorted(kinds, key=lambda k: k.__name__)
        )
        raise DataError(
            f"task {spec.name!r}: the labels of {train.source} and of {validation.source} are of different kinds ({examples}); write them the "
            "same way in both. Whole numbers beside a label that is none are texts: if only one file has such a label, write all labels as words."
        )
    unseen = sorted(set(found) - counts.keys())
    if unseen:
        raise DataError(
            f"task {spec.name!r}: validation has classes that training lacks: {_shown(unseen)} (training, {train.source}: "
            f"{_shown(sorted(counts))})"
        )
    if len(counts) < 2:
        raise DataError(
            f"task {spec.name!r}: every training row of {train.source} has the label {found[0]!r} in column {column!r}; at least two classes are needed"
        )
    if len(counts) > 2 and max(counts.values()) == 1:
        raise DataError(
            f"task {spec.name!r}: no two training rows of {train.source} have the same label in column {column!r} ({_shown(sorted(counts))}); a "
            "class is what several rows share"
        )
    ordered = Counter({value: counts[value] for value in sorted(counts)})
    return ClassLabels(column, tuple(ordered), _said(spec, ordered))


def _said(spec: TaskSpec, counts: Counter[ClassValue]) -> str:
    shown = [f"{value!r} ({counted(count, 'row')})" for value, count in list(counts.items())[:_SHOWN]]
    more = f", and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return f"The classes are the {len(counts)} values of column {spec.label_column!r}: {', '.join(shown)}{more}."


def _shown(values: Sequence[ClassValue]) -> str:
    return ", ".join(map(repr, values[:_SHOWN])) + (", ..." if len(values) > _SHOWN else "")
