"""What of a study is there, read off its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import CorruptSetError, DataError, MissingRunError, UnfinishedSetError
from repdrift.core.records.run import RunRecord
from repdrift.stores import open_set
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, planned_runs, random_change_folder, set_folder
from repdrift.training import finished_runs


@dataclass(frozen=True)
class RunProgress:
    """How far one run is. `representations` and `random_change`: "finished", "unfinished", "damaged" or "missing".

    A random change is by default made for one seed only of a task and method.
    """

    run: RunId
    trained: bool
    representations: str
    random_change: str


def study_status(config: StudyConfig) -> list[RunProgress]:
    """Every planned run. Looks at what is on disk only: neither model nor data is loaded."""
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
    wanted = config.training_options(run.task, run.method).for_key(run.method)
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
