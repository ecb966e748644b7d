"""Writes the text of an account, or says that it is not up to date: `python -m studies.account docs/studies/reference [--check]`.

`--from` takes the results of an analysis over first and draws its figures, `--rates` those of the study of learning rates, `--decoder` those of the study of a decoder, `--again` those of a task that was trained once more on another machine, `--tried` the runs of tasks that were tried alone, `--reproduced` models that were made again, `--cost` the processor seconds by stage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from studies.account.build import AGAIN, COST, TEXT, account_text, main_study
from studies.account.committed_results import (
    commit_again,
    commit_results,
    commit_task,
    draw_figures,
    draw_figures_of_decoder,
    draw_figures_of_rates,
    require_small,
)
from studies.account.reproductions import commit_reproductions
from studies.account.tried_tasks import TRIED, tried_tasks

from repdrift.core.atomic import write_text, write_together
from repdrift.core.errors import RepdriftError
from repdrift.core.reading import reading_errors


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 if the account is not up to date, or cannot be made; 2 for a wrong command."""
    parser = argparse.ArgumentParser(prog="python -m studies.account", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the account, such as docs/studies/reference")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the text is not up to date")
    parser.add_argument(
        "--from", type=Path, dest="analysis", help="folder of an analysis, such as results/reference/drift_analysis"
    )
    parser.add_argument("--rates", type=Path, help="folder of the analysis of studies/reference_rates.yaml")
    parser.add_argument("--decoder", type=Path, help="folder of the analysis of studies/reference_smollm2.yaml")
    parser.add_argument("--again", type=Path, help="folder of the analysis of one task, trained once more elsewhere")
    parser.add_argument(
        "--tried",
        type=Path,
        nargs="+",
        default=[],
        help="folders of the runs of studies/reference_tried.yaml and its like; a tried.json keeps those that it has",
    )
    parser.add_argument(
        "--reproduced", type=Path, nargs="+", default=[], help="folders that `repdrift reproduce` wrote, all of them"
    )
    parser.add_argument("--cost", type=Path, help="csv with the columns task and cpu_s, one row a stage")
    given = parser.parse_args(arguments)
    folder: Path = given.folder
    try:
        if not given.check:
            _take_over(given)
        text = account_text(folder)
        if not given.check:
            write_text(folder / TEXT, text)
            require_small(folder)
            return 0
        with reading_errors(folder / TEXT):
            current = (folder / TEXT).read_text(encoding="utf-8") if (folder / TEXT).is_file() else ""
    except RepdriftError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if current == text:
        return 0
    sys.stderr.write(f"{folder / TEXT} is not what the results give: run `python -m studies.account {folder}`\n")
    return 1


def _take_over(given: argparse.Namespace) -> None:
    folder: Path = given.folder
    if given.analysis is not None:
        commit_task(given.analysis, folder / "results", main_study().task_names)
        draw_figures(folder)
    if given.rates is not None:
        commit_results(given.rates, folder / "rates")
        draw_figures_of_rates(folder)
    if given.decoder is not None:
        commit_results(given.decoder, folder / "decoder")
        draw_figures_of_decoder(folder)
    if given.again is not None:
        commit_again(given.again, folder / AGAIN)
    if given.tried:
        tried_tasks(given.tried).write(folder / TRIED)
    if given.reproduced:
        commit_reproductions(given.reproduced, folder)
    if given.cost is not None:
        with reading_errors(given.cost):
            write_together(folder, {COST: given.cost.read_bytes()})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
