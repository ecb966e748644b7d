"""repdrift job: one job of a study that was started, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def job(
    plan: Annotated[
        Path,
        typer.Argument(metavar="PLAN", help="Plan of a study, results/jobs/plan.json.", show_default=False),
    ],
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Name of the job, such as train/sst2/lora/seed42.", show_default=False),
    ] = None,
    from_input: Annotated[
        bool,
        typer.Option(
            "--from-input", help="Read names of jobs from standard input, and write a line when each has ended."
        ),
    ] = False,
    launcher: Annotated[str, typer.Option("--launcher", help="Who runs the job, for its state.")] = "by hand",
    parent: Annotated[
        int | None,
        typer.Option(
            "--parent",
            help="Process number of a launcher: the job stops when that process is gone.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run one job of a study from the plan that `repdrift run` wrote. Launchers call it; by hand it is for looking into a job that failed.

    Its state is in results/jobs/NAME.json, and its log in results/jobs/NAME.log. Exit codes: 0 done, 1 failed, 5 what it needs is not done,
    6 another process is at it, 7 the disk is full.

    Example: repdrift job results/jobs/plan.json train/sst2/lora/seed42
    """
    from repdrift.core.errors import ConfigError
    from repdrift.core.progress import say
    from repdrift.study.jobs.signals import stopped_by_sigterm
    from repdrift.study.jobs.worker import EXIT_CODES, PlannedStudy, end_with, serve

    if from_input == (name is not None):
        raise ConfigError("give the name of a job, or --from-input for names on standard input")
    if from_input:
        serve(plan, launcher)
        return
    with stopped_by_sigterm():
        if parent is not None:
            end_with(parent)
        report = PlannedStudy(plan).run(name or "", launcher)
    say(f"{report.job}: {report.ending.replace('_', ' ')}: {report.words}")
    raise typer.Exit(EXIT_CODES.get(report.ending, 1))
