"""The choices of learning rates that are on the disk, and which of them a study's settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from repdrift.core.errors import DataError, StorageError
from repdrift.core.hidden_secrets import without_secrets
from repdrift.core.progress import say
from repdrift.core.reading import listed_folder
from repdrift.core.records.kept_records import read_kept
from repdrift.core.records.tuning import TRIALS_FOLDER, TUNING_FOLDER, TuningRecord, TuningTrial
from repdrift.models import changed_files
from repdrift.study.config import StudyConfig


def tuning_folder(config: StudyConfig, task: str, method: str) -> Path:
    """The folder of an arm's choices on a task; its trials lie in `trials/` below."""
    return config.results_dir / TUNING_FOLDER / task / method


def choices_of(config: StudyConfig, task: str, method: str) -> list[TuningRecord]:
    """The choices on the disk that were made with this study's settings, whatever the base model's files and the rows.

    A file that cannot be read is said and left out. Empty if the study is not tuned.
    """
    section = config.tuning_on(task)
    folder = tuning_folder(config, task, method)
    if section is None or not folder.is_dir():
        return []
    arm = config.arm(task, method)
    settings = {k: v for k, v in config.hyperparameters(task, method).items() if k != "learning_rate"}
    found: list[TuningRecord] = []
    for path in listed_folder(folder):
        if path.suffix != ".json" or path.name.startswith("."):
            continue
        try:
            choice = read_kept(TuningRecord, path)
        except (DataError, StorageError) as error:
            say(f"left out, cannot be read: {error}")
            continue
        if (
            (choice.task, choice.method) == (task, method)
            and choice.sampler == section.sampler
            and choice.rates == section.rates(method, arm.tuning.usual_rates)
            and choice.n_trials == section.n_trials
            and choice.pruning == section.pruning
            and choice.held_out == section.held_out
            and choice.seed == section.trial_seed(config.seeds)
            and choice.hyperparameters == settings
        ):
            found.append(choice)
    return found


def rates_tried(config: StudyConfig, task: str, method: str) -> int:
    """The number of the study's rates for which a file of a finished trial lies on the disk; of Optuna's sampler, of such files.

    Whether a trial is of the study's settings and rows is not looked at here: that takes the data. 0 if the study is not tuned.
    """
    section, folder = config.tuning_on(task), tuning_folder(config, task, method) / TRIALS_FOLDER
    if section is None or not folder.is_dir():
        return 0
    wanted = section.rates(method, config.arm(task, method).tuning.usual_rates)
    found: list[float] = []
    for path in listed_folder(folder):
        if path.suffix == ".json" and not path.name.startswith("."):
            try:
                found.append(TuningTrial.read(path).learning_rate)
            except (DataError, StorageError) as error:
                say(f"left out, cannot be read: {error}")
    if section.sampler == "optuna":
        return min(len(found), section.n_trials)
    return sum(rate in found for rate in wanted)


def latest_choice(
    config: StudyConfig, task: str, method: str, base_settings: Mapping[str, str] | None
) -> TuningRecord | None:
    """The latest choice for this study, known by its settings and the base model's name alone; no weights or rows are read.

    base_settings: of the base model's files, as `RunRecord.base_settings`; None: not known.
    """
    model = without_secrets(config.model)
    found = [
        choice
        for choice in choices_of(config, task, method)
        if without_secrets(choice.base_model) == model
        and (base_settings is None or not changed_files(choice.base_settings, base_settings))
    ]
    return max(found, key=lambda choice: choice.created, default=None)
