"""How a finished study is shown on the terminal."""

from __future__ import annotations

import typer

from repdrift.core import words
from repdrift.core.records.results import ALL_TASKS
from repdrift.study.runner import StudyOutcome


def print_outcome(outcome: StudyOutcome) -> None:
    """Print mean drift by task, method and layer, the answers, and where the files are."""
    from rich.console import Console
    from rich.table import Table

    study = outcome.results.study
    primary = outcome.table[(outcome.table["measure"] == study.primary_measure) & (outcome.table["step"] == 0)]
    layers = sorted(primary["layer"].unique())
    shown = layers if len(layers) <= 8 else [layers[round(i * (len(layers) - 1) / 7)] for i in range(8)]
    table = Table(title=f"Drift from {study.model} (1 - debiased CKA, mean over seeds)", title_justify="left")
    table.add_column("task")
    table.add_column("method")
    for layer in shown:
        table.add_column(f"layer {layer}", justify="right")
    table.add_column("all layers", justify="right")
    for (task, method), rows in primary.groupby(["task", "method"], sort=False):
        means = rows.groupby("layer")["drift"].mean()
        numbers = [*(means[layer] for layer in shown), means.mean()]
        table.add_row(words.task_title(str(task)), words.method_title(str(method)), *map(words.number, numbers))
    Console(width=max(100, Console().width)).print(table)
    for test in outcome.results.tests:
        if test.task == ALL_TASKS and test.layer is None:
            typer.echo(f"[{test.verdict}] {test.sentence}")
    for warning in outcome.results.warnings:
        typer.echo(f"note: {warning}")
    typer.echo(f"results:   {outcome.results_file}")
    typer.echo(f"dashboard: {outcome.dashboard.resolve()}")
