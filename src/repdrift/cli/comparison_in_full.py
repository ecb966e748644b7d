"""A whole comparison on the terminal, for `compare --full`: each model with its tables, cautions and sections."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from repdrift.core import words
from repdrift.core.progress import tell
from repdrift.core.shown_text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from repdrift.core.records.comparison import ComparedModel, Comparison
    from repdrift.core.worded_section import WordedSection

_number = partial(words.number, missing="")
"""A drift in a table; an empty cell where there is none."""


def print_in_full(result: Comparison, *, every_measure: bool) -> None:
    """Print what comparison.md has. every_measure: also the drift under every other measure."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from repdrift.comparison.layer_table import table_header, table_rows
    from repdrift.comparison.what_moved import model_sections, whole_sections

    console = Console(width=max(100, Console().width))
    _print_answers(result)
    for model in result.compared:
        tell()
        for model_note in model.notes:
            tell(f"mind, {model.name}: {model_note}")
        table = Table(
            # rich would read brackets in a name as markup.
            title=Text(
                for_terminal(
                    f"{model.name}: drift from {result.base} (1 - debiased CKA, {result.pooling}, {model.layers[0].rows} rows)"
                )
            ),
            title_justify="left",
        )
        for head in table_header(result, model):
            table.add_column(head, justify="right", no_wrap="interval" in head, overflow="fold")
        for row in table_rows(result, model):
            table.add_row(*row)
        console.print(table)
        if every_measure:
            _print_measures(console, model)
        _print_outputs(console, model)
        _print_sections(model_sections(result, model))
    _print_by_grid(console, result)
    _print_patching(console, result)
    _print_sections(whole_sections(result))


def _print_answers(result: Comparison) -> None:
    """Prints one line on each model, and what changes how all numbers are read."""
    from repdrift.core.comparison_answers import answer_line, grid_line
    from repdrift.core.comparison_words import how_sure, warnings_beside_notes
    from repdrift.core.patching_words import patching_answer
    from repdrift.core.sink_words import sinks_in_words

    for sentence in result.headline:
        tell(sentence)
    for model in result.compared:
        tell(f"{model.name}: {answer_line(model)}")
    for model in result.by_grid:
        tell(f"{model.name}: {grid_line(model)}")
    for found in result.patching:
        tell(f"{found.model}: {patching_answer(found)}")
    for warning in warnings_beside_notes(result):
        tell(f"note: {warning}")
    for data_note in result.data_notes:
        tell(f"data: {data_note}")
    for note in how_sure(result):
        tell(note)
    if result.sinks is not None:
        tell(sinks_in_words(result.sinks))


def _print_by_grid(console: Console, result: Comparison) -> None:
    """Prints what is known of models that have no drift by layer."""
    from repdrift.comparison.what_moved import model_sections

    for model in result.by_grid:
        tell()
        for model_note in model.notes:
            tell(f"mind, {model.name}: {model_note}")
        _print_outputs(console, model)
        _print_sections(model_sections(result, model))


def _print_sections(sections: Sequence[WordedSection]) -> None:
    """Prints what each section answers; comparison.md has their tables."""
    for section in sections:
        tell()
        tell(f"{section.title}:")
        for sentence in (*section.answer, *section.notes):
            tell(f"  {sentence}")
        for sentence in section.left_out:
            tell(f"  left out: {sentence}")


def _print_outputs(console: Console, model: ComparedModel) -> None:
    from rich.table import Table
    from rich.text import Text

    from repdrift.core.output_words import TABLE_HEADER, outputs_notes, outputs_rows

    if model.outputs is None:
        return
    if model.outputs.changes:
        table = Table(title=Text(for_terminal(f"{model.name}: outputs beside the base model's")), title_justify="left")
        for head in TABLE_HEADER:
            table.add_column(head, justify="left" if head in ("outcome", "texts") else "right", overflow="fold")
        for row in outputs_rows(model.outputs):
            table.add_row(*row)
        console.print(table)
    for note in outputs_notes(model.outputs):
        tell(f"outputs, {model.name}: {note}")


def _print_patching(console: Console, result: Comparison) -> None:
    from rich.table import Table
    from rich.text import Text

    from repdrift.core.patching_words import TABLE_HEADER, how_patched, patching_rows

    for sentence in how_patched(result):
        tell()
        tell(sentence)
    for found in result.patching:
        if not found.layers:
            continue
        title = f"{found.model}: share of the output change from {found.reference} undone and brought, by layer"
        table = Table(title=Text(for_terminal(title)), title_justify="left")
        for head in TABLE_HEADER:
            table.add_column(head, justify="right", no_wrap="interval" in head, overflow="fold")
        for row in patching_rows(found):
            table.add_row(*row)
        console.print(table)


def _print_measures(console: Console, model: ComparedModel) -> None:
    from rich.table import Table
    from rich.text import Text

    from repdrift.comparison.output import by_measure

    found = by_measure(model)
    if not found.rows:
        return
    some = ", some of the layers" if len(found.layers) < len(model.layers) else ""
    table = Table(title=Text(for_terminal(f"{model.name}: drift under the other measures{some}")), title_justify="left")
    table.add_column("measure", no_wrap=True)
    for layer in found.layers:
        table.add_column(f"layer {layer}", justify="right", no_wrap=True)
    for name, _, drifts in found.rows:
        table.add_row(name, *map(_number, drifts))
    console.print(table)
