"""Runs a whole study: train, extract, measure outcomes, analyse, draw. Finished parts are reused, so a stopped study can be run again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from repdrift.core.errors import ConfigError
from repdrift.core.process_group import process_count
from repdrift.core.progress import say
from repdrift.core.reading import reading_errors
from repdrift.core.records.results import RESULTS_FILE, TABLE_PARQUET, DriftResults
from repdrift.report.build import DASHBOARD_FILE
from repdrift.study.config import StudyConfig
from repdrift.study.design_notes import say_design_notes
from repdrift.study.dry_run import dry_run, dry_run_lines
from repdrift.study.inputs import StudyInputs
from repdrift.study.jobs.demand import demand_lines, job_demands
from repdrift.study.jobs.graph import study_graph
from repdrift.study.jobs.study_launch import LaunchChoice, run_jobs
from repdrift.study.readiness import ready_jobs
from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER, planned_runs


@dataclass(frozen=True)
class StudyOutcome:
    """The results of a finished study, and where they lie."""

    results: DriftResults
    table: pd.DataFrame
    results_file: Path
    dashboard: Path


def dry_run_study(config: StudyConfig, config_path: str | None, *, tasks: Sequence[str] | None = None) -> list[str]:
    """Lines on the time, memory and disk that a study would take. Raises what would stop it before training; writes nothing."""
    runs = planned_runs(config, tasks=tasks)
    say_design_notes(config, runs)
    inputs = StudyInputs(config, config_path)
    found, graph = dry_run(inputs, runs), study_graph(config, runs)
    return dry_run_lines(found, demand_lines(graph, job_demands(inputs, graph, found)))


def run_study(
    config: StudyConfig,
    config_path: str | None,
    *,
    tasks: Sequence[str] | None = None,
    launch: LaunchChoice | None = None,
) -> StudyOutcome:
    """Say what the design of a study can show, check it, then run its jobs. tasks: a part of the study's tasks; None for all.

    launch: how the jobs are run; None: one after another in this process. Raises ConfigError under torchrun, what `ready_jobs` raises before anything is run, and
    UnfinishedStudyError if a job failed. What was finished before is kept.
    """
    if process_count() > 1:
        raise ConfigError(
            "under torchrun only `repdrift extract` and `repdrift compare` share out their work. Several jobs of a study at once: `repdrift run STUDY --jobs 2`"
        )
    clock = time.perf_counter()
    inputs = StudyInputs(config, config_path)
    runs = planned_runs(config, tasks=tasks)
    say(f"study {config.name}: {len(runs)} models of {config.model}")
    say_design_notes(config, runs)
    ready_jobs(inputs, runs, before_tuning=config.tune is not None)
    run_jobs(inputs, tasks, launch or LaunchChoice())
    inputs.stores.send_all()
    inputs.journal.note("study", config.name, wall_time_s=round(time.perf_counter() - clock, 1))
    say(f"study {config.name}: done in {time.perf_counter() - clock:.0f} s")
    results_file = config.results_dir / ANALYSIS_FOLDER / RESULTS_FILE
    with reading_errors(results_file):
        table = pd.read_parquet(results_file.with_name(TABLE_PARQUET))
    dashboard = config.results_dir / FIGURES_FOLDER / DASHBOARD_FILE
    return StudyOutcome(DriftResults.read(results_file), table, results_file, dashboard)
