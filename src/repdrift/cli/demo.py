"""repdrift demo: the whole job in minutes, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(output_dir: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo_output")) -> None:
    """Run the whole job on a packaged model (MiniLM-L6) and packaged texts: 24 fine-tunes, extraction, analysis, figures.

    Takes a few minutes on two CPU cores. Run it again to go on where it stopped.

    Example: repdrift demo --output-dir demo_output
    """
    from repdrift.cli.outcome import print_outcome
    from repdrift.core.progress import say
    from repdrift.study.config import packaged_study
    from repdrift.study.runner import run_study

    say(
        "The demo fine-tunes a small real model on small texts: it shows how the job goes, it is no finding about LoRA."
    )
    study = packaged_study("demo").model_copy(
        update={"results_dir": output_dir / "results", "base_dir": output_dir / "base_representations"}
    )
    print_outcome(run_study(study, "demo"))
