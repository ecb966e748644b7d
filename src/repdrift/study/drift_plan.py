"""Turns a study into the plan of an analysis: which representation sets are compared, and how."""

from __future__ import annotations

import re
from collections.abc import Sequence

from repdrift.core.reading import listed_folder
from repdrift.core.words import listed, method_title, task_title
from repdrift.drift import BaseSets, DriftPlan, PlannedSet
from repdrift.study.config import StudyConfig
from repdrift.study.runs import (
    base_folder,
    identity_folder,
    planned_runs,
    random_change_folder,
    repdrift_command,
    selected_tasks,
    set_folder,
)
from repdrift.study.tuning_report import tuning_of

_STEP_FOLDER = re.compile(r"step_\d+")


def _words(config: StudyConfig, method: str, tasks: Sequence[str]) -> str | None:
    """Returns what an arm is, in a few words; with the tasks where it has other options on some. None if its name says it."""
    by_words: dict[str, list[str]] = {}
    for task in tasks:
        by_words.setdefault(config.arm(task, method).words, []).append(task_title(task))
    if len(by_words) > 1:
        return "; ".join(f"{words} on {listed(on)}" for words, on in by_words.items())
    words = next(iter(by_words), "")
    return words if words != method_title(method) else None


def drift_plan(config: StudyConfig, config_path: str | None, *, tasks: Sequence[str] | None = None) -> DriftPlan:
    """Returns the plan that `repdrift analyze` carries out. tasks: a part of the study's tasks; None for all.

    Every checkpoint that was extracted is a step of the plan, beside step 0. With config_path None (the default study, and
    no --config) the plan names no base model, and the analysis takes the one that the sets on disk name.
    Raises UnknownNameError for a task that the study does not have.
    """
    names = selected_tasks(config, tasks)
    sets: list[PlannedSet] = []
    random_changes: list[PlannedSet] = []
    for run in planned_runs(config, tasks=names):
        final = set_folder(config, run)
        there = listed_folder(final.parent) if final.parent.is_dir() else []
        steps = sorted({0, *(int(p.name[5:]) for p in there if _STEP_FOLDER.fullmatch(p.name) and p.is_dir())})
        for step in steps:
            command = repdrift_command("extract", run, config_path) + (f" --checkpoint {step}" if step else "")
            sets.append(PlannedSet(run.task, run.method, run.seed, step, set_folder(config, run, step), command))
        command = repdrift_command("extract", run, config_path)
        random_changes.append(PlannedSet(run.task, run.method, run.seed, 0, random_change_folder(config, run), command))
    options = config.analysis
    return DriftPlan(
        study=config.name,
        model=config.model if config_path is not None else None,
        tasks=names,
        methods=config.method_names,
        seeds=list(config.seeds),
        sets=sets,
        bases={
            name: BaseSets(
                base_folder(config, name),
                identity_folder(config, name),
                f"{repdrift_command('extract', None, config_path)} --task {name}",
            )
            for name in names
        },
        measures=options.measures,
        target_reduction=options.target_reduction,
        equivalence_margin=options.margin(),
        sampling=options.sampling(),
        alpha=options.alpha,
        reference_method=config.reference,
        comparison_methods=[name for name in config.method_names if name != config.reference],
        method_words={name: said for name in config.method_names if (said := _words(config, name, names))},
        random_changes=random_changes,
        tuning=tuning_of(config, planned_runs(config, tasks=names)),
    )
