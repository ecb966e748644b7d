"""repdrift run: a whole study."""

from __future__ import annotations

from typing import Annotated

import typer

from repdrift.cli import options as o


def run(
    study_file: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="Study file (YAML), or the name of a packaged study.", show_default=False),
    ],
    task: o.Task = None,
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
) -> None:
    """Train, extract, analyse and draw a whole study. Run it again to go on where it stopped.

    Lines that begin with `note:` say first which of its claims can become significant at all (see `repdrift power`).

    Example: repdrift run studies/minilm.yaml --data-dir path/to/tasks
    """
    from repdrift.cli.outcome import print_outcome
    from repdrift.study.runner import run_study

    study, config_path = o.study_from(
        study_file, model=model, data_dir=data_dir, results_dir=results_dir, base_dir=base_dir
    )
    print_outcome(run_study(study, config_path, tasks=task))
