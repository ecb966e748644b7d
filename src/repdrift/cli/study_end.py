"""The end of `run` and `analyze` on the terminal: the answer on one screen, and with --full every sentence before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from repdrift.core.progress import tell

if TYPE_CHECKING:
    import pandas as pd

    from repdrift.core.records.results import DriftResults

Full = Annotated[
    bool,
    typer.Option("--full", help="Print every claim and every caution in whole sentences too, before the short end."),
]


def print_study_end(results: DriftResults, table: pd.DataFrame, places: Mapping[str, str], *, full: bool) -> None:
    """Print the headline, a table by task and method, the most serious cautions, and `places`: what lies where."""
    import sys

    from repdrift.report.glance import screen_of, study_glance

    if full:
        _print_in_full(results, table)
        tell()
    for line in study_glance(results, table, places, screen_of(sys.stdout)):
        tell(line)


def _print_in_full(results: DriftResults, table: pd.DataFrame) -> None:
    """Print drift by layer, then each claim with its verdict, then what changes how they are read."""
    from repdrift.core.equal_skill_words import all_in_lines
    from repdrift.core.first_lines import first_lines
    from repdrift.core.hypotheses import LESS
    from repdrift.core.records.results import ALL_TASKS
    from repdrift.core.study_sections import study_sections
    from repdrift.core.study_site_words import SITES_SECTION

    first = first_lines(results)
    for caution in first:
        tell(f"note: {caution}")
    _print_by_layer(results, table)
    for section in study_sections(results):
        for line in section.answer[: len(results.study.methods)] if section.name == SITES_SECTION else ():
            tell(f"[{SITES_SECTION}] {line}")
    compared = [each.test for each in results.equal_skill if each.test is not None]
    for test in compared:
        tell(f"[{test.verdict}] {test.sentence}")
    # Results over all tasks come first, and among them whether each method drifts less.
    for test in sorted(
        results.tests, key=lambda t: (t.task != ALL_TASKS, t.task == ALL_TASKS and t.hypothesis != LESS)
    ):
        if test.layer is None:
            tell(f"[{test.verdict}] {test.sentence}")
    said = {test.sentence for test in compared}
    for line in (line for line in all_in_lines(results.equal_skill) if line not in said):
        tell(f"note: {line}")
    for warning in (w for w in results.warnings if w not in first):
        tell(f"note: {warning}")
    for check in results.sanity:
        if check.passed is False:
            tell(f"check failed: {check.name}. {check.detail}")


def _print_by_layer(results: DriftResults, table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from repdrift.core import words
    from repdrift.core.shown_text import for_terminal
    from repdrift.core.site_rows import residual_rows

    study, rows = results.study, residual_rows(table)
    primary = rows[(rows["measure"] == study.primary_measure) & (rows["step"] == 0)]
    layers = sorted(primary["layer"].unique())
    shown = layers if len(layers) <= 8 else [layers[round(i * (len(layers) - 1) / 7)] for i in range(8)]
    drawn = Table(
        title=Text(for_terminal(f"Drift from {study.model} (1 - debiased CKA, mean over seeds)")), title_justify="left"
    )
    drawn.add_column("task", no_wrap=True)
    drawn.add_column("method", no_wrap=True)
    for layer in shown:
        drawn.add_column(f"layer {layer}", justify="right")
    drawn.add_column("all layers", justify="right")
    for (task, method), of_arm in primary.groupby(["task", "method"], sort=False):
        means = of_arm.groupby("layer")["drift"].mean()
        numbers = [*(means[layer] for layer in shown), means.mean()]
        names = (words.task_title(str(task)), words.method_title(str(method)))
        drawn.add_row(*(Text(for_terminal(name)) for name in names), *map(words.number, numbers))
    Console(width=max(120, Console().width)).print(drawn)
