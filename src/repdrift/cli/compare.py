"""repdrift compare: how far a model has drifted from the model it was tuned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from repdrift.cli import gate as g
from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.comparison.options import ComparisonOptions
from repdrift.core.progress import say, tell, tell_json

SOME_NOT_COMPARED = 3
"""Exit code of a comparison that is finished and written, but lacks the drift by layer of some of the models."""


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
    formats: o.FigureFormats = "png,pdf",
    width: o.FigureWidth = "two-column",
    venue: o.FigureVenue = "acl",
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    fail_above: g.FailAbove = None,
    fail_layers: g.FailLayers = None,
    fail_measure: g.FailMeasure = None,
    fail_site: g.FailSite = None,
    fail_outcome: g.FailOutcome = None,
    junit: g.Junit = None,
    markdown_summary: g.MarkdownSummary = None,
    github_summary: g.GithubSummary = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Print every table and sentence of comparison.md too, before the short end."),
    ] = False,
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
        "sites": fail_site or (),
        "outcomes": fail_outcome or (),
    }
    gate = g.gate_run(checked, limits=limits, junit=junit, markdown=markdown_summary, github=github_summary)
    from repdrift.report.figure_files import chosen_formats
    from repdrift.report.figure_size import figure_size
    from repdrift.report.rendering import FigureFormat

    figures = FigureFormat(chosen_formats(o.parts(formats)), figure_size(width, venue))
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
                figures=figures,
                gate=gate.gate,
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
        from repdrift.cli.comparison_end import print_comparison_end

        if full:
            from repdrift.cli.comparison_in_full import print_in_full

            print_in_full(result, every_measure="measures" in options)
            tell()
        print_comparison_end(
            result, output_dir, page=page, asked=checked, measures=checked.measures if "measures" in options else ()
        )
    if (code := gate.finish(result, show=say if as_json else tell)) is not None:
        raise typer.Exit(code)
    if len(result.compared) < len(result.models):  # also where the layer grid alone compares a model
        raise typer.Exit(SOME_NOT_COMPARED)
