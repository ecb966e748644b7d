"""The tuning of a study, read off the files on the disk; no weights or rows are loaded."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.errors import RepdriftError, SampleSetMismatchError
from repdrift.core.records.run import RunRecord
from repdrift.core.records.tuning import StudyTuning, TuningRecord
from repdrift.core.tuning_words import rate_text, study_tuning
from repdrift.core.words import counted, listed
from repdrift.stores import open_set
from repdrift.study.base_settings import base_settings_of
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, planned_runs, set_folder
from repdrift.study.tuned_rates import latest_choice, rates_tried
from repdrift.training import finished_runs


def tuning_of(config: StudyConfig, runs: Sequence[RunId] | None = None) -> StudyTuning:
    """The choices of a study's learning rates, with the cautions that stand in the first lines of every output.

    runs: a part of the study's runs; None for all. A representation set whose model was trained at another rate than the study
    has now is named. A model is known by its weights; of a set whose run is not on this machine nothing is said.
    """
    runs = planned_runs(config) if runs is None else runs
    pairs = list(dict.fromkeys((run.task, run.method) for run in runs))
    choices: dict[tuple[str, str], TuningRecord | None] | None = None
    if config.tune is not None:
        settings = base_settings_of(config)
        choices = {pair: latest_choice(config, *pair, settings) for pair in pairs}
    fixed = {pair: config.training_options(*pair).learning_rate for pair in pairs} if choices is None else {}
    rates = fixed if choices is None else {pair: choice and choice.learning_rate for pair, choice in choices.items()}
    others: list[str] = []
    for run, rate in rates_of_sets(config, runs).items():
        wanted = rates[run.task, run.method]
        if wanted is not None and rate != wanted:
            others.append(f"{run} ({rate_text(rate)} instead of {rate_text(wanted)})")
    return study_tuning(choices, fixed, others)


def tuning_lines(config: StudyConfig) -> list[str]:
    """A line for each task: of how many trials there are files, and which arms lack some; empty if the study is not tuned."""
    if config.tune is None:
        return []
    lines: list[str] = []
    for task in config.task_names:
        each = config.tune.of_task(task).n_trials
        tried = {method: rates_tried(config, task, method) for method in config.method_names}
        done = sum(tried.values())
        lacking = [f"{method} {count} of {each}" for method, count in tried.items() if count < each]
        which = f" ({listed(lacking)})" if lacking and done else ""
        lines.append(f"{task}: {done} of {counted(each * len(tried), 'learning rate')} tried{which}")
    return lines


def require_one_rate(config: StudyConfig, runs: Sequence[RunId]) -> None:
    """Raises SampleSetMismatchError if the models of one method on one task were trained at different learning rates.

    Such models are no seeds of one method. Models whose run is not on this machine take no part.
    """
    groups: dict[tuple[str, str], dict[int, float]] = {}
    for run, rate in rates_of_sets(config, runs).items():
        groups.setdefault((run.task, run.method), {})[run.seed] = rate
    for (task, method), by_seed in groups.items():
        if len(set(by_seed.values())) > 1:
            found = listed([f"seed {seed} at {rate_text(rate)}" for seed, rate in by_seed.items()])
            raise SampleSetMismatchError(
                f"the models of {method} on {task} were trained at different learning rates ({found}), so they are no seeds of one "
                "method. `repdrift status` says which runs the study has now; extract all of them again with `repdrift extract`."
            )


def rates_of_sets(config: StudyConfig, runs: Sequence[RunId]) -> dict[RunId, float]:
    """The learning rates at which the models of the extracted runs were trained, where their runs are on this machine."""
    records = [found.record for found in finished_runs(config.results_dir)]
    trained = {(r.task, r.method, r.seed, r.weights_digest): r for r in records}
    found = {run: _rate_of_set(config, run, trained) for run in runs}
    return {run: rate for run, rate in found.items() if rate is not None}


def _rate_of_set(config: StudyConfig, run: RunId, trained: dict[tuple[str, str, int, str], RunRecord]) -> float | None:
    """The rate at which the model of a run's set was trained; None if there is no set, or its run is not known."""
    try:
        metadata = open_set(set_folder(config, run)).metadata
    except RepdriftError:  # the analysis says what is wrong with it
        return None
    record = trained.get((run.task, run.method, run.seed, metadata.weights_digest))
    return None if record is None else record.hyperparameters.get("learning_rate")
