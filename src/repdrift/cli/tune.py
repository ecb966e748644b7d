"""repdrift tune: choose the learning rate of every arm and task, with equally many trials for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from repdrift.cli import options as o
from repdrift.core.progress import say, tell, tell_json

if TYPE_CHECKING:
    from repdrift.core.records.tuning import TuningRecord


def tune(
    study_file: o.StudyFile = None,
    config: o.Config = None,
    overrides: o.Overrides = None,
    task: o.Task = None,
    method: o.Method = None,
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print the choices with all their trials as JSON."),
) -> None:
    """Choose learning rates: every method gets the same number of trials on each task.

    A trial is a training with another learning rate, scored on a part of the training rows; no weights are kept. Finished
    trials are not trained again. `tune:` in the study file says which rates are tried, and makes `repdrift run` and
    `repdrift train` take the chosen ones.

    Example: repdrift tune studies/minilm.yaml --task sst2
    """
    from repdrift.study.inputs import StudyInputs
    from repdrift.study.runs import planned_runs
    from repdrift.study.tune_section import TuneSection
    from repdrift.study.tuning_stage import tune_arms

    study, config_path = o.study_from(
        config, study_file=study_file, overrides=overrides, model=model, data_dir=data_dir, results_dir=results_dir
    )
    asked = study.tune is not None
    if not asked:
        study = study.model_copy(update={"tune": TuneSection()})
    runs = planned_runs(study, tasks=task, methods=method)
    choices = tune_arms(StudyInputs(study, config_path), runs)
    if as_json:
        tell_json([json.loads(choice.model_dump_json()) for choice in choices])
    else:
        _print(choices)
    if not asked:
        say(
            "note: the study has no `tune:` section, so training takes the rates of its file and not these. Add `tune: {}` to the study, and "
            "take every learning_rate under `training:` out."
        )


def _print(choices: list[TuningRecord]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from repdrift.core.shown_text import for_terminal
    from repdrift.core.tuning_words import rate_text, remarks_on, trial_in_words

    table = Table(title="Trials", title_justify="left")
    for name in ("task", "method", "trial", ""):
        table.add_column(name)
    for choice in choices:
        for trial in choice.trials:
            chosen = "chosen" if trial is choice.best else ""
            cells = (choice.task, choice.method, trial_in_words(trial), chosen)
            table.add_row(*(Text(for_terminal(cell)) for cell in cells))
        table.add_section()
    Console(width=max(110, Console().width)).print(table)
    for choice in choices:
        tell(f"{choice.task} {choice.method}: learning rate {rate_text(choice.learning_rate)}")
        widen = f"; widen tune.learning_rates.{choice.method}" if choice.at_edge is not None else ""
        if remarks := remarks_on(choice):
            tell(f"note: {choice.task}, {choice.method}: {'; '.join(remarks)}{widen}")
