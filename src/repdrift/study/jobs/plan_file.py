"""The frozen plan of a study: its whole configuration, written once, that every worker process runs from.

Plans lie at `results/jobs/plans/DIGEST.json`, where none is ever replaced, and `results/jobs/plan.json` is a copy of the latest. So a worker of an earlier
plan, still waiting in a queue, neither runs with another configuration nor beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repdrift.core.errors import ConfigError, RepdriftError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.hidden_secrets import remember_all, shown
from repdrift.core.records.base import Record, library_versions
from repdrift.study.config import StudyConfig, parse_study
from repdrift.study.configuration_text import configuration_content
from repdrift.study.given_study import given_study, overrides_of
from repdrift.study.jobs.graph import JobGraph, study_graph
from repdrift.study.runs import JOBS_FOLDER, planned_runs, selected_tasks
from repdrift.tasks.sources import DATA_VARIABLE

PLAN_FILE = "plan.json"
PLANS_FOLDER = "plans"
_ENVIRONMENT = (DATA_VARIABLE, "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HOME", "HF_HUB_CACHE")
"""Environment variables that say where models and data are; workers get them from the plan."""


class StudyPlan(Record):
    """A study as it was when it was started."""

    format_version: int = 1
    study: str
    """The study's name."""
    config_path: str | None
    """What the user gave as --config; null for the default study."""
    overrides: list[str] = []
    """Fields that the command line set in place of the file, in order."""
    digest: str
    """SHA-256 of the whole configuration with its defaults, and of the tasks."""
    config: dict[str, Any]
    """The configuration after all options, as a study file has it."""
    tasks: list[str]
    """The part of the tasks that is run and analysed."""
    working_folder: str
    """Where relative paths of the configuration start."""
    environment: dict[str, str] = {}
    """Variables of the environment that say where models and data are."""
    versions: dict[str, str]
    created: str

    @property
    def given(self) -> str | None:
        """The user's --config, with the overrides beside it."""
        return given_study(self.config_path, self.overrides)

    def study_config(self) -> StudyConfig:
        """Returns the configuration. Raises ConfigError if this version does not take it."""
        return parse_study(self.config, where=f"the plan of study {self.study}")

    def graph(self, config: StudyConfig) -> JobGraph:
        """The jobs of the plan."""
        return study_graph(config, planned_runs(config, tasks=self.tasks))


def make_plan(config: StudyConfig, config_path: str | None, tasks: Sequence[str] | None) -> StudyPlan:
    """Returns the plan of a study. tasks: a part of the study's tasks; None for all. Nothing is written."""
    chosen = selected_tasks(config, tasks)
    return StudyPlan(
        study=config.name,
        config_path=None if config_path is None else str(config_path),
        overrides=list(overrides_of(config_path)),
        digest=plan_digest(config, chosen),
        config=configuration_content(config),
        tasks=chosen,
        working_folder=str(Path.cwd()),
        environment={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        versions=library_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def plan_digest(config: StudyConfig, tasks: Sequence[str]) -> str:
    """SHA-256 of a whole configuration, defaults included, and of the tasks that are run."""
    return config_sha256({"config": config.model_dump(mode="json"), "tasks": list(tasks)})


def jobs_folder(config: StudyConfig) -> Path:
    """The folder of a study's plans, and of the states and logs of its jobs."""
    return config.results_dir / JOBS_FOLDER


def written_form(plan: StudyPlan, *, exact: bool) -> StudyPlan:
    """Returns a plan as its file will have it. Nothing is written.

    exact: the plan must be read back as it is, since worker processes run from it; else secrets are left out of the file. Raises ConfigError if the
    configuration holds a secret, which no file may hold, or cannot be read back as it is.
    """
    if exact and shown(plan.config) != plan.config:
        raise ConfigError(
            "the study holds a secret, such as a password in an address, and worker processes read the study from a file, which never holds one. Give "
            "the secret by the environment, or run with --jobs 1"
        )
    again = parse_study(json.loads(json.dumps(plan.config)), where="the study, as its plan has it")
    if exact and plan_digest(again, plan.tasks) != plan.digest:
        raise ConfigError("the study's configuration cannot be written as a plan: read back, it is another one")
    if not exact:  # also under the names that a record writes as they are, such as `tasks`
        return plan.model_copy(update={"config": shown(plan.config)})
    return plan


def plan_path(written: StudyPlan, folder: Path) -> Path:
    """The file that workers are given, below a study's jobs folder. written: the plan as `written_form` gives it."""
    return folder / PLANS_FOLDER / f"{_name_of(written)}.json"


def jobs_folder_of(plan_file: Path) -> Path:
    """The study's jobs folder, in which a plan lies: one that workers are given, or the current one."""
    return plan_file.parent.parent if plan_file.parent.name == PLANS_FOLDER else plan_file.parent


def write_plan(plan: StudyPlan, folder: Path, *, exact: bool) -> Path:
    """Write a plan and make it the current one of its study; returns the file that workers are given.

    Jobs of other plans are refused from now on. exact: as in `written_form`, which is asked first. Raises StorageError if it cannot be written.
    """
    written = written_form(plan, exact=exact)
    path = plan_path(written, folder)
    written.write(path)
    written.write(folder / PLAN_FILE)
    return path


def newer_plan(folder: Path, digest: str) -> str | None:
    """Says that the study was started with another configuration than that of a job's plan; None if it was not. digest: of the job's plan."""
    try:
        current = read_plan(folder / PLAN_FILE)
    except RepdriftError:
        return None
    if current.digest == digest:
        return None
    return (
        f"the study was started with another configuration at {current.created}, after this job was planned: the job is not run, so that results of the two "
        "are not mixed. Start the study again with the configuration that you want"
    )


def _name_of(plan: StudyPlan) -> str:
    """A name that no plan of another content has."""
    return config_sha256(plan.model_dump(mode="json", exclude={"created"}))[:32]


def read_plan(path: Path) -> StudyPlan:
    """Returns the plan in a file. Raises DataError if it is absent, damaged, or of another version."""
    plan = StudyPlan.read(path)
    remember_all(plan.config)
    return plan
