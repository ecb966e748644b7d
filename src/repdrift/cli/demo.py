"""repdrift demo: the whole workflow in minutes, without a network."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from repdrift.study.runner import StudyOutcome

STUDY = "demo"
STUDY_OF_ALL_TASKS = "demo_all_tasks"
LOG_FILE = "demo.log"
_COMMANDS = (
    "repdrift analyze --config",
    "repdrift visualize --config",
    "repdrift status --config",
    "repdrift power --config",
)


def demo(
    output_dir: Annotated[Path, typer.Option(help="Folder for all files.")] = Path("demo_output"),
    all_tasks: Annotated[
        bool, typer.Option("--all-tasks", help="Four tasks in place of two; it takes several times as long.")
    ] = False,
) -> None:
    """Run the whole workflow on a packaged model (MiniLM-L6) and packaged texts: 12 fine-tunes, extraction, analysis, figures.

    It takes three to four minutes on two CPU cores, twelve on slow ones. If it is stopped, run it again, and it goes on
    from there. The study file that it leaves in its folder is for the other commands.

    Example: repdrift demo --output-dir demo_output

    Example, afterwards: repdrift analyze --config demo_output/demo.yaml
    """
    from repdrift.cli.stage_view import stages_on_screen
    from repdrift.cli.study_end import print_study_end
    from repdrift.core.progress import say, tell

    log = made_folder(output_dir) / LOG_FILE
    say(
        "The demo fine-tunes a small real model on small texts. It shows how the workflow runs; its numbers are no finding about "
        f"LoRA. Details: {log}"
    )
    with stages_on_screen(
        log
    ):  # from here, so that what other libraries print when they are imported goes into the log
        from repdrift.study.config import load_study
        from repdrift.study.runner import run_study

        file = write_study_file(output_dir, STUDY_OF_ALL_TASKS if all_tasks else STUDY)
        outcome = run_study(load_study(file), str(file))
    if said := learnt_line(outcome):
        tell(said)
    places = {
        "page": str(outcome.dashboard.resolve()),
        "study": f"{file}. From this folder every command takes it, for example:",
    }
    print_study_end(outcome.results, outcome.table, places, full=False)
    for command in _COMMANDS:
        tell(f"    {command} {shlex.quote(str(file))}")


def learnt_line(outcome: StudyOutcome) -> str:
    """Says how many models have learnt their task, with the range of the scores by task; empty if there are no models."""
    from repdrift.core.learnt_words import judged_models
    from repdrift.core.words import counted, listed, task_title

    models = [m for m in judged_models(outcome.results.runs) if m.learnt is not None]
    if not models:
        return ""
    parts: list[str] = []
    for task in dict.fromkeys(m.task for m in models):
        found = [m.learnt for m in models if m.task == task and m.learnt is not None]
        low, high = min(k.score for k in found), max(k.score for k in found)
        parts.append(
            f"{found[0].metric} {low:.2f} to {high:.2f} on {task_title(task)} (best constant answer {found[0].constant_score:.2f})"
        )
    n_learnt = sum(m.verdict is True for m in models)
    return f"{n_learnt} of {counted(len(models), 'model')} have learnt their task: {listed(parts)}."


def made_folder(folder: Path) -> Path:
    """Makes a folder, if it is not there, and returns it. Raises StorageError."""
    from repdrift.core.errors import StorageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}. Choose another folder.") from error
    return folder


def write_study_file(output_dir: Path, name: str = STUDY) -> Path:
    """Writes a packaged study as a file into `output_dir`, with its results beside it. Returns its path. Raises StorageError."""
    import yaml

    from repdrift.core.atomic import write_text
    from repdrift.study.config import packaged_study_text

    folders = {"results_dir": str(output_dir / "results"), "base_dir": str(output_dir / "base_representations")}
    text = packaged_study_text(name) + "# Paths start from the folder in which the command is run.\n"
    file = made_folder(output_dir) / f"{name}.yaml"
    write_text(file, text + yaml.safe_dump(folders, allow_unicode=True))
    return file
