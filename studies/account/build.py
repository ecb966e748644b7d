"""Fills the template of an account from the results files beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from studies.account import likeness_tables, outcome_tables, rates_tables, replication, tables, weight_tables
from studies.account.answers import short_answers
from studies.account.brief import brief
from studies.account.cells import verdict_cell
from studies.account.committed_results import (
    FIGURES_FOLDER,
    FIGURES_FOLDER_OF_DECODER,
    FIGURES_FOLDER_OF_RATES,
    analyses,
    has_results,
    results_of,
    whole_folder,
)
from studies.account.facts import StudyFacts, measured_together
from studies.account.pilot import PilotCheck, layers_table, pilot_checks
from studies.account.reproductions import not_made_again, read_reproductions, reproductions_text
from studies.account.tried_tasks import TRIED, TriedTasks, learnt, tried_table

from repdrift.core.reading import reading_errors
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.tuning_words import trials_in_words
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    percent,
    pvalue,
    short_drift,
    short_number,
    task_title,
)
from repdrift.report.figure_files import caption_of
from repdrift.report.figures import FigureSpec, figures
from repdrift.study.config import StudyConfig, load_study

TEMPLATE = "account.md.j2"
TEXT = "README.md"
COST = "cost.csv"
AGAIN = "again"
"""The folder of the results of tasks that were trained before, on another machine."""


@dataclass(frozen=True)
class Cost:
    """Processor hours by task: what has been spent, finished stages and failed ones."""

    hours: dict[str, float]

    @property
    def total(self) -> float:
        """Hours over all tasks."""
        return sum(self.hours.values())


def account_text(folder: Path) -> str:
    """Returns the account in a folder: its template with every number from the files beside it.

    Raises DataError if results are missing or damaged; jinja2.UndefinedError if the template asks for what there is not.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  Markdown, and names from the results are escaped where a cell is made
    )
    environment.filters |= {
        "task": task_title,
        "arm": method_title,
        "percent": percent,
        "chosen": chosen_percent,
        "drift": short_drift,
        "two_digits": short_number,
        "counted": counted,
        "listed": listed,
        "retrieval_base": outcome_tables.retrieval_base,
    }
    main = main_study()
    facts, measured = _facts(folder / "results", main.task_names)
    parts = dict.fromkeys(facts.begun, facts) | {name: part for part in measured.values() for name in part.begun}
    again: dict[str, StudyFacts] = {}
    for name in facts.begun:
        if has_results(folder / AGAIN / name):
            with results_of(folder / AGAIN / name) as file:
                again[name] = StudyFacts.read(file)
    rates, decoder = _other(folder / "rates"), _other(folder / "decoder")
    expected = _expected(folder / "pilot.json")
    checks: list[PilotCheck] = pilot_checks(rates, expected) if rates else []
    tried = TriedTasks.read(folder / TRIED) if (folder / TRIED).is_file() else None
    tried_on = learnt(tried, model=facts.study.model)
    reproduced = read_reproductions(folder, facts, parts)
    text = environment.get_template(TEMPLATE).render(
        study=facts,
        progress=facts.progress(
            [task for task, found in tried_on.items() if not found], [task for task, found in tried_on.items() if found]
        ),
        tried=tried,
        tried_table=tried_table,
        parts=parts,
        again=again,
        reproduced=reproduced,
        reproductions_text=reproductions_text,
        not_made_again=not_made_again(reproduced),
        trials=_trials(parts),
        brief=brief(facts, parts, rates),
        short=short_answers(facts, parts, rates, again),
        replication=replication,
        figures=_shown(folder / FIGURES_FOLDER, facts),
        measured=measured_together(parts),
        part_figures=_part_figures(folder / FIGURES_FOLDER, measured),
        rates_figures=_shown(folder / FIGURES_FOLDER_OF_RATES, rates) if rates else [],
        rates=rates,
        decoder=decoder,
        decoder_trials=_trials({"": decoder}) if decoder else "",
        decoder_figures=_shown(folder / FIGURES_FOLDER_OF_DECODER, decoder) if decoder else [],
        rates_order=rates_tables.order_of_means(rates, rates.study.tasks[0]) if rates else None,
        of_rates=rates_tables,
        weights=weight_tables,
        smallest_weight_p=_smallest_weight_p(parts),
        pilot=checks,
        earlier=expected,
        earlier_layers=layers_table(rates, expected) if rates else "",
        cost=_cost(folder / COST),
        table=tables,
        outcomes=outcome_tables,
        likeness=likeness_tables,
        verdict=verdict_cell,
        config=main,
        ALL=ALL_TASKS,
    )
    return text.rstrip("\n") + "\n"


def main_study() -> StudyConfig:
    """The study that the account is about, with all its tasks."""
    return load_study(Path(__file__).resolve().parents[2] / "studies" / "reference.yaml")


def _trials(parts: Mapping[str, StudyFacts]) -> str:
    """How many trials every arm had, by task where they were not equally many; empty if no rate was tuned."""
    found = {id(part): part.data.results.tuning for part in parts.values()}
    choices = [choice for tuning in found.values() if tuning is not None for choice in tuning.choices]
    return trials_in_words(choices) if choices else ""


def _smallest_weight_p(parts: Mapping[str, StudyFacts]) -> str:
    """The least corrected p that a contrast of intruders has; empty where there is none, or where it is not the least that the design can give."""
    for part in parts.values():
        weights = part.data.results.moved.weights if part.data.results.moved else None
        tested = [c for c in (weights.contrasts if weights else []) if c.p is not None and c.smallest_p is not None]
        least = [c.p_adjusted for c in tested if c.p == c.smallest_p and c.p_adjusted is not None]
        if least:
            return pvalue(min(least))
    return ""


def _shown(folder: Path, facts: StudyFacts) -> list[tuple[FigureSpec, str]]:
    """The figures that were drawn, with their captions."""
    return [(spec, caption_of(spec, facts.data)) for spec in figures() if (folder / f"{spec.name}.png").is_file()]


def _part_figures(folder: Path, measured: Mapping[str, StudyFacts]) -> list[tuple[str, str, FigureSpec, str]]:
    """The figures of single analyses, by their folders: the tasks in words, the folder, the figure, and its caption where it is the first of its kind."""
    found: list[tuple[str, str, FigureSpec, str]] = []
    for name, facts in measured.items():
        words = listed([task_title(task) for task in facts.begun])
        drawn = {spec.name for _, _, spec, _ in found}
        shown = _shown(folder / name, facts)
        found += [(words, name, spec, "" if spec.name in drawn else caption) for spec, caption in shown]
    return found


def _facts(folder: Path, planned: Sequence[str]) -> tuple[StudyFacts, dict[str, StudyFacts]]:
    """The facts of the whole study, and by folder those of the analyses that it was put together from; none if it was measured as one.

    What an analysis has measured on representations, one that was put together from tables has not.
    """
    place = whole_folder(folder)
    with results_of(place) as file:
        whole = StudyFacts.read(file, planned)
    measured: dict[str, StudyFacts] = {}
    for part in analyses(folder):
        if part != place:
            with results_of(part) as file:
                measured[part.name] = StudyFacts.read(file)
    return whole, measured


def _other(folder: Path) -> StudyFacts | None:
    """The facts of a study beside the main one; None if its results are not there."""
    if not has_results(folder):
        return None
    with results_of(folder) as file:
        return StudyFacts.read(file)


def _expected(path: Path) -> dict[str, Any]:
    with reading_errors(path):
        return json.loads(path.read_text(encoding="utf-8"))


def _cost(path: Path) -> Cost | None:
    if not path.is_file():
        return None
    hours: dict[str, float] = {}
    with reading_errors(path):
        text = path.read_text(encoding="utf-8")
    for row in csv.DictReader(StringIO(text)):
        hours[row["task"]] = hours.get(row["task"], 0.0) + float(row["cpu_s"]) / 3600
    return Cost(hours)
