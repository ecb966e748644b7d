"""repdrift compare: how far a model has drifted from the model it was tuned from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from repdrift.cli import gate as g
from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.comparison.options import ComparisonOptions
from repdrift.core import words
from repdrift.core.progress import say, tell, tell_json
from repdrift.core.shown_text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from repdrift.core.records.comparison import ComparedModel, Comparison
    from repdrift.core.worded_section import WordedSection

SOME_NOT_COMPARED = 3
"""Exit code of a comparison that is finished and written, but lacks the drift by layer of some of the models."""

_number = partial(words.number, missing="")
"""A drift in a table; an empty cell where there is none."""


@with_field_options(ComparisonOptions, "options", panel="Models and measures")
def compare(
    *,
    base: Annotated[str, typer.Argument(help="The base model: folder, hub id or packaged:NAME.", show_default=False)],
    tuned: Annotated[
        list[str],
        typer.Argument(help="Models that were tuned from it: full models or PEFT adapters.", show_default=False),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="A built-in task, a file (txt, csv, tsv, json, jsonl, parquet, Arrow), or the folder of a saved data set.",
            show_default=False,
        ),
    ],
    data_dir: o.DataDir = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            "--text-column",
            help="Column of the text in your file. Give it twice for a pair of texts.",
            show_default=False,
        ),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id-column", help="Column of a unique id in your file.", show_default=False)
    ] = None,
    group_column: o.GroupColumn = None,
    sample_column: Annotated[
        list[str] | None,
        typer.Option(
            "--sample-column",
            help="Column of your file by which samples are grouped in results, such as a topic: which group moved more? May be repeated.",
            show_default=False,
        ),
    ] = None,
    separator: o.Separator = None,
    encoding: o.Encoding = None,
    header: o.Header = None,
    samples: Annotated[int, typer.Option(min=0, help="Most samples to use; 0 for all.")] = 750,
    max_length: Annotated[
        int | None,
        typer.Option(help="Most tokens of a sample; longer ones are cut.", show_default="the model's, at most 512"),
    ] = None,
    options: dict[str, Any],
    revision: Annotated[
        str | None, typer.Option(help="Revision of the base model on the hub.", show_default="the newest")
    ] = None,
    as_kind: Annotated[
        Literal["adapter", "model"] | None,
        typer.Option(
            "--as",
            help="What to take from a folder that holds both: adapter or model.",
            show_default="the adapter, and it is said",
        ),
    ] = None,
    output_dir: Annotated[
        Path, typer.Option(help="Folder for the page, the JSON file, table, summary and figures.")
    ] = Path("results/comparison"),
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Write report.html too, the page that is read in a browser.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    fail_above: g.FailAbove = None,
    fail_layers: g.FailLayers = None,
    fail_measure: g.FailMeasure = None,
    fail_outcome: g.FailOutcome = None,
    junit: g.Junit = None,
    markdown_summary: g.MarkdownSummary = None,
    github_summary: g.GithubSummary = False,
) -> None:
    """Show how far fine-tuning moved a model, layer by layer, beside no change and a random change of the same size; and what it did to outputs.

    Nothing is trained, and no representation is written to the disk. Models of another depth are compared by the layer grid alone. Exit code 0 if
    all models were compared layer by layer, 3 if some have no drift by layer, 1 if none was compared; with
    --json the reasons are printed all the same. With a gate (--fail-above, --fail-outcome) 3 says that it failed, and 4 that it could not be judged.

    Example: repdrift compare packaged:minilm results/lora_x/final_model --data sst2 --data-dir sample

    Example, your own texts: repdrift compare base/ tuned/ adapter/ --data reviews.csv --text-column body

    Example, in a pipeline: repdrift compare base/ tuned/ --data reviews.csv --fail-above 0.3 --junit gate.xml
    """
    if fail_measure is not None:
        options = g.with_gated_measure(options, fail_measure)
    checked = changed(ComparisonOptions(), options)
    limits = {
        "fail_above": fail_above,
        "layers": fail_layers,
        "measure_name": fail_measure,
        "outcomes": fail_outcome or (),
    }
    gate = g.gate_run(checked, limits=limits, junit=junit, markdown=markdown_summary, github=github_summary)
    from repdrift.comparison.comparing import compare as run
    from repdrift.comparison.nothing_compared import NothingComparedError
    from repdrift.core.progress import is_first_process

    try:
        with gate.reporting_errors():
            result = run(
                base,
                tuned,
                data=data,
                data_dir=data_dir,
                text_columns=text_column,
                id_column=id_column,
                group_column=group_column,
                sample_columns=sample_column,
                separator=separator,
                encoding=encoding,
                header=header,
                samples=samples or None,
                max_length=max_length,
                revision=revision,
                as_kind=as_kind,
                output_dir=output_dir,
                page=page,
                **{name: getattr(checked, name) for name in checked.model_fields_set},
            )
    except NothingComparedError as error:
        if as_json and is_first_process():
            tell_json(error.as_json())
        raise
    if not is_first_process():
        return
    if as_json:
        from repdrift.comparison.output import for_sharing

        tell_json(json.loads(for_sharing(result).model_dump_json()))
    else:
        _print(result, every_measure="measures" in options)
        has_outputs = any(model.outputs is not None and model.outputs.changes for model in result.models)
        from repdrift.comparison.what_moved import section_tables, sections_to_ask_for

        tables = "drift.csv" + (", outputs.csv" * has_outputs) + (", patching.csv" if result.patching else "")
        tables += "".join(f", {name}" for name in section_tables(result))
        tell(f"written to {output_dir}: comparison.json, comparison.md, {tables}, figures")
        if checked.sections is None and (more := sections_to_ask_for()):
            tell(f"more on what moved, for more time: --with {','.join(more)}, or --with all")
    if (code := gate.finish(result, show=say if as_json else tell)) is not None:
        raise typer.Exit(code)
    if len(result.compared) < len(result.models):  # also where the layer grid alone compares a model
        raise typer.Exit(SOME_NOT_COMPARED)


def _print(result: Comparison, *, every_measure: bool) -> None:
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
