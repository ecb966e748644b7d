"""repdrift demo: the whole workflow in minutes, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(output_dir: Annotated[Path, typer.Option(help="Folder for all files.")] = Path("demo_output")) -> None:
    """Run the whole workflow on a packaged model (MiniLM-L6) and packaged texts: 24 fine-tunes, extraction, analysis, figures.

    It takes a few minutes on two CPU cores. If it is stopped, run it again, and it goes on from there.

    Example: repdrift demo --output-dir demo_output
    """
    from repdrift.cli.run import print_outcome
    from repdrift.core.progress import say
    from repdrift.study.config import packaged_study
    from repdrift.study.runner import run_study

    say(
        "The demo fine-tunes a small real model on small texts. It shows how the workflow runs; its numbers are not a finding about LoRA."
    )
    study = packaged_study("demo").model_copy(
        update={"results_dir": output_dir / "results", "base_dir": output_dir / "base_representations"}
    )
    print_outcome(run_study(study, "demo"))
