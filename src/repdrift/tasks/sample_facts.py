"""Facts about samples that no model reads: their text, shortened, their label, and columns by which a user groups them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from repdrift.tasks.data_files import Row
from repdrift.tasks.spec import TaskSpec

TEXT_KEPT = 280
"""Characters of a text that are kept; longer ones end with how long they are."""
CELL_KEPT = 80
"""Characters of a label or of a column's cell that are kept."""


@dataclass(frozen=True)
class SampleFacts:
    """Facts about n samples, in their order.

    texts: shortened; None: they are not to be shown, or not known. labels: None for a task without labels, or a sample without one. columns: for each
    column that the user named, what stands in it as a text; None where nothing does.
    """

    texts: tuple[str, ...] | None = None
    labels: tuple[str | None, ...] | None = None
    columns: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict[str, tuple[str | None, ...]])

    def part(self, indices: Sequence[int]) -> SampleFacts:
        """The facts about the samples with these numbers, in this order."""
        return SampleFacts(
            None if self.texts is None else tuple(self.texts[i] for i in indices),
            None if self.labels is None else tuple(self.labels[i] for i in indices),
            {name: tuple(cells[i] for i in indices) for name, cells in self.columns.items()},
        )

    def without_texts(self) -> SampleFacts:
        """Returns the facts without texts, for results that must not hold them. Labels and columns stay."""
        return replace(self, texts=None)


def facts_of(spec: TaskSpec, rows: Sequence[Row]) -> SampleFacts:
    """The facts about rows of a task. A label is a class by its name; answers and completions are no labels, but part of the text."""
    is_class = spec.kind == "classification" and spec.label_column is not None
    labelled = is_class and all(spec.label_column in row for row in rows)
    return SampleFacts(
        texts=tuple(_text(spec, row) for row in rows),
        labels=tuple(_label(spec, row[spec.label_column or ""]) for row in rows) if labelled else None,
        columns={
            name: tuple(cell_text(row[name]) for row in rows)
            for name in spec.sample_columns
            if all(name in row for row in rows)
        },
    )


def cell_text(value: Any) -> str | None:
    """A cell of a table as a text, cut after CELL_KEPT characters: whole numbers without a point; None for a missing or blank one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal) and value == value // 1:
        value = int(value)  # whole numbers, in a column that once had gaps
    text = str(value).strip()
    return _cut(text, CELL_KEPT) or None


def shortened_text(text: str) -> str:
    """A text cut after TEXT_KEPT characters, with its full length behind it."""
    return text if len(text) <= TEXT_KEPT else f"{text[:TEXT_KEPT]}… ({len(text):,} characters)"


def _text(spec: TaskSpec, row: Row) -> str:
    names = [*spec.text_columns]
    if spec.kind == "causal_lm" and spec.label_column is not None:
        names.append(spec.label_column)
    return shortened_text(" | ".join(_words(row[name]) for name in names if name in row))


def _words(value: Any) -> str:
    """A text, or the turns of a chat one behind the other, each with its role."""
    if isinstance(value, str):
        return value
    turns = [turn for turn in value if isinstance(turn, Mapping)] if isinstance(value, Sequence) else []
    return " ".join(f"[{turn.get('role', '')}] {turn.get('content', '')}" for turn in turns)


def _label(spec: TaskSpec, value: Any) -> str | None:
    if spec.label_names and isinstance(value, int) and 0 <= value < len(spec.label_names):
        return spec.label_names[value]
    return cell_text(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
