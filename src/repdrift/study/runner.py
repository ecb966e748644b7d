"""Runs a whole study: train, extract, measure outcomes, analyse, draw. Finished parts are reused, so a stopped study can be run again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from repdrift.core.progress import say, say_stage
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.drift import analyze
from repdrift.report import visualize
from repdrift.study.config import StudyConfig
from repdrift.study.design_notes import say_design_notes
from repdrift.study.drift_plan import drift_plan
from repdrift.study.dry_run import dry_run, dry_run_lines
from repdrift.study.evaluation_stage import evaluate_runs
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import ANALYSIS_FOLDER, FIGURES_FOLDER, planned_runs
from repdrift.study.saved_models import EVERY_SAVED
from repdrift.study.training_stage import train_runs
from repdrift.study.tuning_stage import tune_arms


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
    return dry_run_lines(dry_run(StudyInputs(config, config_path), runs))


def run_study(config: StudyConfig, config_path: str | None, *, tasks: Sequence[str] | None = None) -> StudyOutcome:
    """Say what the design of a study can show, then run its stages. tasks: a part of the study's tasks; None for all.

    Raises whatever a stage raises. What was finished before is kept.
    """
    clock = time.perf_counter()
    inputs = StudyInputs(config, config_path)
    runs = planned_runs(config, tasks=tasks)
    say(f"study {config.name}: {len(runs)} models of {config.model}")
    say_design_notes(config, runs)
    if config.tune is not None:
        say("before training: learning rates")
        tune_arms(inputs, runs)
    say_stage(1, 5, "training")
    train_runs(inputs, runs)
    say_stage(2, 5, "extraction")
    extract_runs(inputs, runs, checkpoint=EVERY_SAVED if config.analysis.equal_skill else None, outputs_too=True)
    say_stage(3, 5, "outcomes")
    evaluate_runs(inputs, runs)
    say_stage(4, 5, "analysis")
    analysis_dir = config.results_dir / ANALYSIS_FOLDER
    results, table = analyze(
        drift_plan(
            config,
            config_path or config.name,
            tasks=tasks,
            samples_of=inputs.sample_set,
            general_text=lambda: inputs.general_text,
        ),
        analysis_dir,
    )
    say_stage(5, 5, "figures")
    files = visualize(analysis_dir / RESULTS_FILE, config.results_dir / FIGURES_FOLDER)
    inputs.journal.note("study", config.name, wall_time_s=round(time.perf_counter() - clock, 1))
    say(f"study {config.name}: done in {time.perf_counter() - clock:.0f} s")
    return StudyOutcome(results, table, analysis_dir / RESULTS_FILE, files.dashboard)
