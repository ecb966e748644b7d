"""repdrift table: the main results as a table in LaTeX, Markdown or csv."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from repdrift.core.progress import tell


def table(
    results: Annotated[
        str,
        typer.Argument(
            metavar="RESULTS_OR_STUDY",
            help="drift_analysis_results.json, comparison.json, a folder with one of them, a study file (YAML), or the name of a packaged study.",
            show_default=False,
        ),
    ],
    as_format: Annotated[
        Literal["latex", "markdown", "csv"],
        typer.Option("--format", help="latex (booktabs and siunitx), markdown, or csv with exact values."),
    ] = "markdown",
    rows: Annotated[
        Literal["tasks", "arms", "layers", "models"] | None,
        typer.Option(
            help="What stands down: tasks, arms or layers; of a comparison models or layers.",
            show_default="tasks, or models",
        ),
    ] = None,
    columns: Annotated[
        Literal["arms", "tasks", "layers", "models", "numbers"] | None,
        typer.Option(
            help="What stands across: arms, tasks, layers, or numbers alone, with tasks and arms down; of a comparison numbers, models or layers.",
            show_default="arms, or numbers",
        ),
    ] = None,
    show: Annotated[
        list[str] | None,
        typer.Option(
            help="Numbers to show: drift, reduction, p, equal-skill, score, forgetting; of a comparison drift, most, noise, classes, loss, forgetting. "
            "Repeat it, or part them with commas.",
            show_default="all that the results have, without p",
        ),
    ] = None,
    measure: Annotated[
        str | None, typer.Option(help="Drift under another measure.", show_default="the study's primary measure")
    ] = None,
    layer: Annotated[
        list[int] | None,
        typer.Option(help="Some of the layers, for a table by layer. May be repeated.", show_default="all"),
    ] = None,
    digits: Annotated[int, typer.Option(min=1, max=6, help="Significant digits of an estimate; csv has all.")] = 2,
    caption: Annotated[
        str | None, typer.Option(help="Another caption.", show_default="says what the numbers are")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Label for references in LaTeX.", show_default="tab: and the study's name")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write.", show_default="printed")] = None,
) -> None:
    """Write the main results as a table: drift by arm and task with its spread over seeds, reduction with interval, score, forgetting.

    What is missing is a dash with a footnote that says why; models that have not learnt their task are marked.

    Example: repdrift table results/drift_analysis --format latex --rows tasks --columns arms --output drift.tex

    Example, with p: repdrift table studies/minilm.yaml --show drift,reduction,p,score

    Example, two models: repdrift table results/comparison --rows layers --columns models --format latex
    """
    from repdrift.core.atomic import write_text
    from repdrift.report.tables import table_text

    text = table_text(
        _source(results), as_format, rows=rows or "", columns=columns or "", show=show or (), measure=measure or "", layers=layer or (),
        digits=digits, caption=caption or "", label=label or "",
    )  # fmt: skip
    if output is None:
        tell(text.rstrip("\n"))
        return
    write_text(output, text)
    tell(str(output))


def _source(results: str) -> Path:
    """The file or folder of results that an argument names. A study is read for the folder that its results lie in."""
    path = Path(results)
    if path.exists() and path.suffix not in (".yaml", ".yml"):
        return path
    if path.suffix == ".json" or (len(path.parts) > 1 and not path.exists()):
        return path  # its absence is said where it is read
    from repdrift.core.records.results import RESULTS_FILE
    from repdrift.study.config import load_study
    from repdrift.study.runs import ANALYSIS_FOLDER

    return load_study(results).results_dir / ANALYSIS_FOLDER / RESULTS_FILE
