"""The progress of a study: what is there, read off its outputs, and the journal of what was done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import CorruptSetError, DataError, MissingRunError, UnfinishedSetError
from repdrift.core.records.run import RunRecord
from repdrift.stores import open_set
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, planned_runs, random_change_folder, set_folder
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
                stream.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class RunProgress:
    """Progress of one run. `representations` and `random_change`: "finished", "unfinished", "damaged" or "missing".

    By default a random change is made for one seed only of each task and method.
    """

    run: RunId
    trained: bool
    representations: str
    random_change: str


def study_status(config: StudyConfig) -> list[RunProgress]:
    """The progress of every planned run. Only files on the disk are looked at; neither model nor data is loaded."""
    records = [found.record for found in finished_runs(config.results_dir)] if config.results_dir.is_dir() else []
    return [
        RunProgress(
            run,
            _is_trained(config, run, records),
            _state(set_folder(config, run)),
            _state(random_change_folder(config, run)),
        )
        for run in planned_runs(config)
    ]


def _is_trained(config: StudyConfig, run: RunId, records: list[RunRecord]) -> bool:
    wanted = config.hyperparameters(run.task, run.method)
    return any(
        (record.task, record.method, record.seed, record.base_model) == (run.task, run.method, run.seed, config.model)
        and all(record.hyperparameters.get(name) == value for name, value in wanted.items())
        for record in records
    )


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
