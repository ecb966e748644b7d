"""repdrift run: a whole study, and its outcome on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.core.progress import tell
from repdrift.extraction.options import ExtractionOptions

if TYPE_CHECKING:
    from repdrift.study.runner import StudyOutcome


@with_field_options(ExtractionOptions, "extraction", panel="Extraction", unless_given=o.THE_STUDYS)
def run(
    *,
    study_file: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="Study file (YAML), or the name of a packaged study.", show_default=False),
    ],
    task: o.Task = None,
    extraction: dict[str, Any],
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the time, memory and disk that it would take; train and write nothing."),
    ] = False,
) -> None:
    """Train, extract, analyse and draw a whole study. If it is stopped, run it again, and it goes on from there.

    First come lines that begin with `note:`. They say which claims of the study can become significant at all (see
    `repdrift power`).

    Example: repdrift run studies/minilm.yaml --data-dir path/to/tasks

    Example, with less memory: repdrift run studies/lora_vs_full.yaml --schedule layer --memory-cap 64
    """
    from repdrift.study.runner import dry_run_study, run_study

    study, config_path = o.study_from(
        study_file, model=model, data_dir=data_dir, results_dir=results_dir, base_dir=base_dir
    )
    study = study.model_copy(update={"extraction": changed(study.extraction, extraction)})
    if dry_run:
        for line in dry_run_study(study, config_path, tasks=task):
            tell(line)
        return
    print_outcome(run_study(study, config_path, tasks=task))


def print_outcome(outcome: StudyOutcome) -> None:
    """Print the models that have not learnt their task, the mean drift by task, method and layer, the verdicts, the warnings, and where the files are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from repdrift.core import words
    from repdrift.core.equal_skill_words import all_in_lines
    from repdrift.core.first_lines import first_lines
    from repdrift.core.hypotheses import LESS
    from repdrift.core.records.results import ALL_TASKS
    from repdrift.core.shown_text import for_terminal
    from repdrift.core.site_rows import residual_rows
    from repdrift.core.study_sections import study_sections
    from repdrift.core.study_site_words import SITES_SECTION

    first = first_lines(outcome.results)
    for caution in first:
        tell(f"note: {caution}")
    study = outcome.results.study
    rows = residual_rows(outcome.table)
    primary = rows[(rows["measure"] == study.primary_measure) & (rows["step"] == 0)]
    layers = sorted(primary["layer"].unique())
    shown = layers if len(layers) <= 8 else [layers[round(i * (len(layers) - 1) / 7)] for i in range(8)]
    table = Table(
        title=Text(for_terminal(f"Drift from {study.model} (1 - debiased CKA, mean over seeds)")), title_justify="left"
    )
    table.add_column("task", no_wrap=True)
    table.add_column("method", no_wrap=True)
    for layer in shown:
        table.add_column(f"layer {layer}", justify="right")
    table.add_column("all layers", justify="right")
    for (task, method), rows in primary.groupby(["task", "method"], sort=False):
        means = rows.groupby("layer")["drift"].mean()
        numbers = [*(means[layer] for layer in shown), means.mean()]
        names = (words.task_title(str(task)), words.method_title(str(method)))
        table.add_row(*(Text(for_terminal(name)) for name in names), *map(words.number, numbers))
    Console(width=max(120, Console().width)).print(table)
    for section in study_sections(outcome.results):
        for line in section.answer[: len(study.methods)] if section.name == SITES_SECTION else ():
            tell(f"[{SITES_SECTION}] {line}")
    at_skill = [each for each in outcome.results.equal_skill if each.task == ALL_TASKS]
    for each in at_skill:
        if each.test is not None:
            tell(f"[{each.test.verdict}] {each.test.sentence}")
    for test in sorted(
        outcome.results.tests, key=lambda test: test.hypothesis != LESS
    ):  # one line for each method first
        if test.task == ALL_TASKS and test.layer is None:
            tell(f"[{test.verdict}] {test.sentence}")
    tested = [each.test.sentence for each in at_skill if each.test is not None]
    for line in (line for line in all_in_lines(at_skill) if line not in tested):
        tell(f"note: {line}")
    for warning in (w for w in outcome.results.warnings if w not in first):
        tell(f"note: {warning}")
    tell(f"results:   {outcome.results_file}")
    tell(f"dashboard: {outcome.dashboard.resolve()}")
