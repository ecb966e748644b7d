"""The tuning of a study, read off the files on the disk; no weights or rows are loaded."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.errors import RepdriftError
from repdrift.core.records.run import RunRecord
from repdrift.core.records.tuning import StudyTuning, TuningRecord
from repdrift.core.tuning_words import rate_text, study_tuning
from repdrift.stores import open_set
from repdrift.study.base_settings import base_settings_of
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, planned_runs, set_folder
from repdrift.study.tuned_rates import latest_choice
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
    records = [found.record for found in finished_runs(config.results_dir)]
    trained = {(r.task, r.method, r.seed, r.weights_digest): r for r in records}
    others: list[str] = []
    for run in runs:
        rate, wanted = _rate_of_set(config, run, trained), rates[run.task, run.method]
        if rate is not None and wanted is not None and rate != wanted:
            others.append(f"{run} ({rate_text(rate)} instead of {rate_text(wanted)})")
    return study_tuning(choices, fixed, others)


def _rate_of_set(config: StudyConfig, run: RunId, trained: dict[tuple[str, str, int, str], RunRecord]) -> float | None:
    """The rate at which the model of a run's set was trained; None if there is no set, or its run is not known."""
    try:
        metadata = open_set(set_folder(config, run)).metadata
    except RepdriftError:  # the analysis says what is wrong with it
        return None
    record = trained.get((run.task, run.method, run.seed, metadata.weights_digest))
    return None if record is None else record.hyperparameters.get("learning_rate")
