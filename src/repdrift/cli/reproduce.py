"""repdrift reproduce: trains models of a published study again, and says whether their numbers are the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repdrift.cli import options as o
from repdrift.core.errors import ConfigError
from repdrift.core.progress import tell, tell_json

if TYPE_CHECKING:
    from repdrift.core.worded_section import WordedSection


def reproduce(
    results: Annotated[
        str,
        typer.Argument(
            help="A study's results: the folder, the file (also .json.gz), an exported archive, a study file, or a packaged study.",
            show_default=False,
        ),
    ],
    models: Annotated[
        int | None, typer.Option("--models", "-n", min=1, help="Models to draw at random.", show_default="2")
    ] = None,
    pick: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK/METHOD/SEED",
            help="A model to make again, in place of the draw. The option may be repeated.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="Draw from the models of this task. The option may be repeated.",
            show_default="every task",
        ),
    ] = None,
    random_seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of the draw, to draw the same models again.", show_default="a new one, which is printed"
        ),
    ] = None,
    model: o.Model = None,
    data_dir: o.DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="A new folder for the models and the result.", show_default="a folder of its own below reproduced/"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train models of a published study again from its results alone, and hold their drift and scores against the published ones.

    The models are drawn at random, so that nobody knows beforehand which ones will be looked at. Tuning is not repeated: each model gets the rate that was chosen for it.
    Base model, rows, samples and settings are checked before anything is trained. If it is stopped, the same command with the --random-seed that it printed goes on from there.
    Exit code 3 if a model differs from the published one by more than another seed would, 4 if one cannot be judged.

    Example: repdrift reproduce docs/studies/reference/results --data-dir path/to/tasks

    Example, one model by name: repdrift reproduce results/drift_analysis --pick sst2/lora/42
    """
    from repdrift.core.records.reproduction import REPRODUCTION_FILE, REPRODUCTION_MARKDOWN
    from repdrift.core.reproduction_words import reproduction_section
    from repdrift.sharing.reproduction.reproducing import Places
    from repdrift.sharing.reproduction.reproducing import reproduce as make_again
    from repdrift.study.user_paths import user_path

    if pick and (random_seed is not None or task or models is not None):
        raise ConfigError(
            "--pick names the models, and --models, --task and --random-seed draw them; leave one of the two out"
        )
    try:
        target = None if output is None else user_path(output)
        data = None if data_dir is None else user_path(Path(data_dir))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    done = make_again(
        results,
        target,
        count=2 if models is None else models,
        picks=pick or (),
        tasks=task or (),
        random_seed=random_seed,
        places=Places(model, data),
    )
    if as_json:
        tell_json(json.loads(done.record.model_dump_json()))
    else:
        _show(reproduction_section(done.record))
        tell(f"result: {done.folder / REPRODUCTION_MARKDOWN}")
        tell(f"numbers: {done.folder / REPRODUCTION_FILE}")
    verdicts = {model.verdict for model in done.record.models}
    if "differs" in verdicts:
        raise typer.Exit(3)
    if "not judged" in verdicts:
        raise typer.Exit(4)


def _show(section: WordedSection) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from repdrift.core.shown_text import for_terminal

    for sentence in section.answer:
        tell(for_terminal(sentence))
    for rows in section.tables:
        table = Table(title=Text(for_terminal(rows.caption)), title_justify="left")
        for head in rows.header:
            table.add_column(Text(head), overflow="fold")
        for row in rows.rows:
            table.add_row(*(Text(for_terminal(cell)) for cell in row))
        Console().print(table)
    for note in section.notes:
        tell(f"note: {for_terminal(note)}")
