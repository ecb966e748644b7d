"""repdrift run: a whole study, and its outcome on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.cli.study_end import Full, print_study_end
from repdrift.core.errors import ConfigError
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
    overrides: o.Overrides = None,
    task: o.Task = None,
    extraction: dict[str, Any],
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    full: Full = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, help="Jobs at once, in processes on this machine that share out cores and GPUs."
        ),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads of each job.", show_default="the cores, shared out among the jobs"),
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            help="Who runs the jobs (docs/howto/jobs.md).", show_default="in-process, or local with --jobs above 1"
        ),
    ] = None,
    launcher_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="An option of the launcher. The option may be repeated.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the time, memory and disk that it would take; train and write nothing."),
    ] = False,
) -> None:
    """Train, extract, analyse and draw a whole study. If it is stopped, run it again, and it goes on from there.

    Last comes the answer on one screen; --full prints every claim in whole sentences before it. First come lines that begin with
    `note:`. They say which claims of the study can become significant at all (see `repdrift power`).

    Example: repdrift run studies/minilm.yaml --data-dir path/to/tasks

    Example, with less memory: repdrift run studies/lora_vs_full.yaml --schedule layer --memory-cap 64
    """
    from repdrift.study.jobs.study_launch import LaunchChoice
    from repdrift.study.runner import dry_run_study, run_study

    study, config_path = o.study_from(
        study_file, overrides=overrides, model=model, data_dir=data_dir, results_dir=results_dir, base_dir=base_dir
    )
    o.require_once(config_path, extraction, "extraction")
    study = study.model_copy(update={"extraction": changed(study.extraction, extraction)})
    if dry_run:
        for line in dry_run_study(study, config_path, tasks=task):
            tell(line)
        return
    launch = LaunchChoice(launcher, jobs, threads, _pairs(launcher_option or []))
    print_outcome(run_study(study, config_path, tasks=task, launch=launch), full=full)


def _pairs(given: list[str]) -> dict[str, str]:
    """The names and values of `NAME=VALUE`. Raises ConfigError for a text without them, or a name that stands twice."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise ConfigError(f"--launcher-option: expected NAME=VALUE, got {text!r}")
        if name in found:
            raise ConfigError(f"--launcher-option: {name} is given twice")
        found[name] = value
    return found


def print_outcome(outcome: StudyOutcome, *, full: bool = False) -> None:
    """Print the answer of a finished study on one screen, and where its page, summary and results lie. full: every sentence before it."""
    from repdrift.core.records.results import SUMMARY_FILE

    places = {
        "page": str(outcome.dashboard.resolve()),
        "summary": str(outcome.results_file.with_name(SUMMARY_FILE)),
        "results": str(outcome.results_file),
    }
    print_study_end(outcome.results, outcome.table, places, full=full)
