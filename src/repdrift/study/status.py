"""The progress of a study: what is there, read off its outputs, and the journal of what was done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import CorruptSetError, DataError, MissingRunError, RepdriftError, UnfinishedSetError
from repdrift.core.hidden_secrets import shown, without_secrets
from repdrift.core.learnt_words import JudgedModel
from repdrift.core.records.run import RunRecord
from repdrift.models import changed_files, resolve_model, settings_digests, tokenizer_digests
from repdrift.models.model_files import PACKAGED_PREFIX
from repdrift.stores import open_set
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, planned_runs, random_change_folder, set_folder
from repdrift.study.tuned_rates import latest_choice
from repdrift.training import finished_runs

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """The journal of a study: one line of JSON for every stage that finished, appended and never rewritten.

    Nothing is decided from it. What is finished is read off the outputs themselves.
    """

    def __init__(self, results_dir: Path) -> None:
        self.path = results_dir / JOURNAL_FILE

    def note(self, stage: str, what: str, **details: object) -> None:
        """Append one line. Raises StorageError if the disk does not take it."""
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "stage": stage, "what": what, **details}
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(shown(line)) + "\n")


@dataclass(frozen=True)
class RunProgress:
    """Progress of one run. `representations` and `random_change`: "finished", "unfinished", "damaged" or "missing".

    record: the latest finished run; None if it is not trained. By default a random change is made for one seed only of each task
    and method.
    """

    run: RunId
    record: RunRecord | None
    representations: str
    random_change: str

    @property
    def trained(self) -> bool:
        """True if there is a finished run."""
        return self.record is not None


def judged(progress: Sequence[RunProgress]) -> list[JudgedModel]:
    """The trained models of a study, each with its comparison with the best constant answer."""
    return [
        JudgedModel(p.run.task, p.run.method, p.run.seed, p.record.learnt) for p in progress if p.record is not None
    ]


def study_status(config: StudyConfig) -> list[RunProgress]:
    """The progress of every planned run. Only files on the disk are looked at; neither weights nor data are loaded.

    A run from a base model whose configuration or tokenizer has changed since counts as not trained.
    """
    settings = base_settings_of(config)
    records = [found.record for found in finished_runs(config.results_dir)] if config.results_dir.is_dir() else []
    return [
        RunProgress(
            run,
            _record_of(config, run, records, settings),
            _state(set_folder(config, run)),
            _state(random_change_folder(config, run)),
        )
        for run in planned_runs(config)
    ]


def base_settings_of(config: StudyConfig) -> dict[str, str] | None:
    """SHA-256 of the base model's settings, as `RunRecord.base_settings`; None if it is not on this machine, or cannot be read."""
    if not (config.model.startswith(PACKAGED_PREFIX) or Path(config.model).expanduser().exists()):
        return None
    try:
        source = resolve_model(config.model, revision=config.revision, prefer="model")
        return {**settings_digests(source), **tokenizer_digests(source)}
    except RepdriftError:  # the stage that loads the model says what is wrong with it
        return None


def _record_of(
    config: StudyConfig, run: RunId, records: list[RunRecord], base_settings: dict[str, str] | None
) -> RunRecord | None:
    choice = latest_choice(config, run.task, run.method, base_settings)
    if config.tune is not None and choice is None:
        return None
    wanted = config.hyperparameters(run.task, run.method, choice.learning_rate if choice is not None else None)
    model = without_secrets(config.model)
    fitting = [
        record
        for record in records
        if (record.task, record.method, record.seed) == (run.task, run.method, run.seed)
        and without_secrets(record.base_model) == model
        and not record.other_settings(wanted)
        and (base_settings is None or not changed_files(record.base_settings, base_settings))
    ]
    return max(fitting, key=lambda record: record.started, default=None)


def _state(folder: Path) -> str:
    try:
        open_set(folder)
    except MissingRunError:
        return "missing"
    except UnfinishedSetError:
        return "unfinished"
    except (CorruptSetError, DataError):
        return "damaged"
    return "finished"
