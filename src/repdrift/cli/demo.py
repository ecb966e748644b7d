"""repdrift demo: the whole workflow in minutes, without a network."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

STUDY_FILE = "demo.yaml"
_COMMANDS = (
    "repdrift analyze --config",
    "repdrift visualize --config",
    "repdrift status --config",
    "repdrift power --config",
)


def demo(output_dir: Annotated[Path, typer.Option(help="Folder for all files.")] = Path("demo_output")) -> None:
    """Run the whole workflow on a packaged model (MiniLM-L6) and packaged texts: 24 fine-tunes, extraction, analysis, figures.

    It takes a few minutes on two CPU cores. If it is stopped, run it again, and it goes on from there. The study file that it
    leaves in its folder is for the other commands.

    Example: repdrift demo --output-dir demo_output

    Example, afterwards: repdrift analyze --config demo_output/demo.yaml
    """
    from repdrift.cli.run import print_outcome
    from repdrift.core.progress import say, tell
    from repdrift.study.config import load_study
    from repdrift.study.runner import run_study

    say(
        "The demo fine-tunes a small real model on small texts. It shows how the workflow runs; its numbers are not a finding about LoRA."
    )
    file = write_study_file(output_dir)
    print_outcome(run_study(load_study(file), str(file)))
    tell(f"study:     {file}. From this folder every command takes it, for example:")
    for command in _COMMANDS:
        tell(f"    {command} {shlex.quote(str(file))}")


def write_study_file(output_dir: Path) -> Path:
    """Writes the packaged demo as a study file into `output_dir`, with its results beside it. Returns its path. Raises StorageError."""
    import yaml

    from repdrift.core.atomic import write_text
    from repdrift.core.errors import StorageError
    from repdrift.study.config import packaged_study_text

    folders = {"results_dir": str(output_dir / "results"), "base_dir": str(output_dir / "base_representations")}
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write into {output_dir}: {error.strerror}. Choose another folder.") from error
    text = packaged_study_text("demo") + "# Paths start from the folder in which the command is run.\n"
    output_dir.mkdir(parents=True, exist_ok=True)
    write_text(output_dir / STUDY_FILE, text + yaml.safe_dump(folders, allow_unicode=True))
    return output_dir / STUDY_FILE
