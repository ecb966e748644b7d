"""The progress of a study: what is there, read off its outputs, and the journal of what was done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import (
    CorruptSetError,
    MissingRunError,
    ModelError,
    RepdriftError,
    StorageError,
    UnfinishedSetError,
)
from repdrift.core.hidden_secrets import shown, without_secrets
from repdrift.core.learnt_words import JudgedModel
from repdrift.core.reading import stands_there, why_absent
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.core.records.run import RunRecord
from repdrift.drift import (
    DriftPlan,
    PlannedOutcomes,
    PlannedSet,
    require_base_set,
    require_random_change_of,
    require_run_of,
    require_weights_of,
)
from repdrift.models import changed_files
from repdrift.outcomes.outcome_files import items_path, record_path
from repdrift.stores import RepresentationSet, open_set
from repdrift.study.base_settings import base_settings_of
from repdrift.study.config import StudyConfig
from repdrift.study.drift_plan import drift_plan
from repdrift.study.runs import RunId, planned_runs
from repdrift.study.tuned_rates import latest_choice
from repdrift.training import FinishedRun, finished_runs, require_whole

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
            if self.path.exists() and not self.path.is_file():  # opening a pipe would wait for ever
                raise StorageError(
                    f"cannot write {self.path}: it is not a regular file. Move it away, and run the same command again."
                )
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(shown(line)) + "\n")


@dataclass(frozen=True)
class RunProgress:
    """Progress of one run. `representations` and `random_change`: "finished", "unfinished", "damaged" or "missing".

    outcomes: "finished", "unfinished" if some kinds are not measured, "outdated" if they are of other weights than the trained model, or of
    other options or general text than the study has now,
    "damaged", "missing", or "not wanted" if the study measures none.
    record: the latest finished run; None if it is not trained. By default a random change is made for one seed only of each task
    and method. faults: what is wrong with files of the run, of its sets at every step, and of the base model's sets of its task;
    each names the file and the next step.
    """

    run: RunId
    record: RunRecord | None
    representations: str
    random_change: str
    outcomes: str = "not wanted"
    faults: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """True if there is a finished run."""
        return self.record is not None


def judged(progress: Sequence[RunProgress]) -> list[JudgedModel]:
    """The trained models of a study, each with its comparison with the best constant answer."""
    return [
        JudgedModel(p.run.task, p.run.method, p.run.seed, p.record.learnt) for p in progress if p.record is not None
    ]


def study_status(config: StudyConfig, config_path: str | None = None) -> list[RunProgress]:
    """The progress of every planned run.

    Only files on the disk are looked at: names, sizes and records. Neither weights nor data are loaded. A run from a base
    model whose configuration or tokenizer has changed since counts as not trained. config_path: what the user gave as
    --config, for the commands in messages.
    """
    settings = base_settings_of(config)
    found = list(finished_runs(config.results_dir)) if config.results_dir.is_dir() else []
    plan = drift_plan(config, config_path)
    base_faults = {task: list(_base_faults(plan, task)) for task in plan.tasks}
    return [
        _progress(run, [r for r in found if _is_run(config, run, r.record, settings)], plan, base_faults[run.task])
        for run in planned_runs(config)
    ]


def _progress(run: RunId, mine: list[FinishedRun], plan: DriftPlan, base_faults: list[str]) -> RunProgress:
    faults = [fault for trained in mine if (fault := _model_fault(trained)) is not None]
    states: dict[int, str] = {}
    for planned in _of(run, plan.sets):
        states[planned.step], fault = _state(planned, _require_planned)
        faults += [fault] if fault is not None else []
    control = "missing"
    for planned in _of(run, plan.random_changes):
        control, fault = _state(planned, require_random_change_of)
        faults += [fault] if fault is not None else []
    latest = max((trained.record for trained in mine), key=lambda record: record.started, default=None)
    planned_outcomes = [
        entry for entry in plan.outcomes if (entry.task, entry.method, entry.seed) == (run.task, run.method, run.seed)
    ]
    found = [_outcomes_state(entry, latest) for entry in planned_outcomes]
    faults += [fault for _, fault in found if fault is not None]
    measured = next((state for entry, (state, _) in zip(planned_outcomes, found, strict=True) if entry.step == 0), None)
    return RunProgress(run, latest, states[0], control, measured or "not wanted", (*faults, *base_faults))


def _outcomes_state(planned: PlannedOutcomes, trained: RunRecord | None) -> tuple[str, str | None]:
    """The state of a run's outcomes at one step, and what is wrong with them. Records are read, and items looked at."""
    there = 0
    for name in planned.names:
        try:
            record = RunOutcomes.read(path) if stands_there(path := record_path(planned.folder, name)) else None
            if record is None:
                continue
            items = items_path(planned.folder, name)
            if record.items_sha256 is not None and not items.is_file():
                raise CorruptSetError(f"{items} {why_absent(items)}. Measure it again with: {planned.command}")
        except RepdriftError as error:
            return "damaged", str(error)
        if planned.step == 0 and trained is not None and record.weights_digest != trained.weights_digest:
            return "outdated", None
        if planned.changed_since(record):
            return "outdated", None
        there += 1
    return ("finished" if there == len(planned.names) else "unfinished" if there else "missing"), None


def _of(run: RunId, planned: Sequence[PlannedSet]) -> list[PlannedSet]:
    return [entry for entry in planned if (entry.task, entry.method, entry.seed) == (run.task, run.method, run.seed)]


def _is_run(config: StudyConfig, run: RunId, record: RunRecord, base_settings: dict[str, str] | None) -> bool:
    if (record.task, record.method, record.seed) != (run.task, run.method, run.seed):
        return False
    choice = latest_choice(config, run.task, run.method, base_settings)
    if config.tune is not None and choice is None:
        return False
    wanted = config.hyperparameters(run.task, run.method, choice.learning_rate if choice is not None else None)
    return (
        without_secrets(record.base_model) == without_secrets(config.model)
        and not record.other_settings(wanted)
        and (base_settings is None or not changed_files(record.base_settings, base_settings))
    )


def _model_fault(found: FinishedRun) -> str | None:
    try:
        require_whole(found)
    except ModelError as error:
        return str(error)
    return None


def _base_faults(plan: DriftPlan, task: str) -> Iterator[str]:
    base = plan.bases[task]
    for folder in (base.folder, base.identity):
        try:
            require_base_set(task, open_set(folder), base.command)
        except (MissingRunError, UnfinishedSetError):
            continue
        except RepdriftError as error:
            yield str(error)


def _require_planned(planned: PlannedSet, stored: RepresentationSet) -> None:
    require_run_of(planned, stored)
    require_weights_of(planned, stored)


def _state(planned: PlannedSet, require: Callable[[PlannedSet, RepresentationSet], None]) -> tuple[str, str | None]:
    """The state of a set, and what is wrong with it."""
    try:
        require(planned, open_set(planned.folder))
    except MissingRunError:
        return "missing", None
    except UnfinishedSetError:
        return "unfinished", None
    except RepdriftError as error:
        return "damaged", str(error)
    return "finished", None
