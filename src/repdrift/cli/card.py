"""repdrift card: a section for a model's README."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.core.progress import tell


def card(
    results: Annotated[
        str,
        typer.Argument(
            help="A study (file, packaged name, folder of results, exported archive), or the folder of a comparison.",
            show_default=False,
        ),
    ],
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="The task of one trained model.", show_default="all models")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", "-m", help="Its arm.", show_default="all models")] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Its seed.", show_default="all models")] = None,
    model: Annotated[
        str | None, typer.Option(help="One tuned model of a comparison.", show_default="all models")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write.", show_default="printed")] = None,
) -> None:
    """Write a section for a model's README on a hub: its drift beside noise and a random change, its outcomes, cautions, versions, commands.

    Example, one trained model: repdrift card study.yaml --task sst2 --method lora --seed 42

    Example, a comparison: repdrift card results/comparison --output drift.md
    """
    from repdrift.core.atomic import write_text
    from repdrift.sharing.cards.study_card import ChosenRun
    from repdrift.sharing.model_card import model_card

    text = model_card(results, ChosenRun(task, method, seed), model)
    if output is None:
        tell(text.rstrip("\n"))
        return
    write_text(output, text)
    tell(str(output))
