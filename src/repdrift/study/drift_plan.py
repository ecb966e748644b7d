"""Turns a study into the plan of an analysis: which representation sets are compared, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from repdrift.core.errors import UnknownNameError
from repdrift.core.reading import listed_folder, stands_there
from repdrift.core.records.merged import MERGE_FILE, MergedStudy
from repdrift.core.words import listed, method_title, task_title
from repdrift.drift import BaseSets, DriftPlan, FirstTokensPlan, PlannedOutcomes, PlannedSet
from repdrift.study.config import StudyConfig
from repdrift.study.configuration_text import configuration_text
from repdrift.study.made_from import outcomes_made_from
from repdrift.study.recorded_models import recorded_digest
from repdrift.study.reproducing import reproducing_commands
from repdrift.study.runs import (
    RunId,
    base_folder,
    first_tokens_folder,
    identity_folder,
    outcomes_folder,
    planned_runs,
    random_change_folder,
    repdrift_command,
    selected_tasks,
    set_folder,
    weights_folder,
)
from repdrift.study.tuned_rates import latest_choice
from repdrift.study.tuning_report import require_one_rate, tuning_of
from repdrift.tasks import SampleSet
from repdrift.training import FinishedRun, finished_runs

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


def drift_plan(
    config: StudyConfig,
    config_path: str | None,
    *,
    tasks: Sequence[str] | None = None,
    samples_of: Callable[[str], SampleSet] | None = None,
    general_text: Callable[[], SampleSet | None] | None = None,
) -> DriftPlan:
    """Returns the plan that `repdrift analyze` carries out. tasks: a part of the study's tasks; None for all. samples_of: gives a task's samples.
    general_text: gives the study's general text.

    Every checkpoint that was extracted is a step of the plan, beside step 0. The plan knows the weights of the runs on this
    machine, so that the set of another model is not taken for theirs. With config_path None (the default study, and
    no --config) the plan names no base model, and the analysis takes the one that the sets on disk name.
    Raises UnknownNameError for a task that the study does not have, and SampleSetMismatchError if models of one method were
    trained at different learning rates.
    """
    names = selected_tasks(config, tasks)
    require_one_rate(config, planned_runs(config, tasks=names))
    found = list(finished_runs(config.results_dir)) if config.results_dir.is_dir() else []
    sets: list[PlannedSet] = []
    outcomes: list[PlannedOutcomes] = []
    measured, made_from = list(config.chosen_outcomes()), outcomes_made_from(config)
    random_changes: list[PlannedSet] = []
    for run in planned_runs(config, tasks=names):
        final = set_folder(config, run)
        there = listed_folder(final.parent) if final.parent.is_dir() else []
        steps = sorted({0, *(int(p.name[5:]) for p in there if _STEP_FOLDER.fullmatch(p.name) and p.is_dir())})
        for step in steps:
            command = repdrift_command("extract", run, config_path) + (f" --checkpoint {step}" if step else "")
            weights, others = _weights(config, run, step, found)
            sets.append(
                PlannedSet(
                    run.task,
                    run.method,
                    run.seed,
                    step,
                    set_folder(config, run, step),
                    command,
                    weights,
                    others,
                    weights_folder(config, run, step),
                    repdrift_command("train", run, config_path),
                    None if step else first_tokens_folder(config, run),
                )
            )
            again = repdrift_command("evaluate", run, config_path) + (f" --checkpoint {step}" if step else "")
            at = outcomes_folder(config, run, step)
            if measured and (step == 0 or at.is_dir()):
                outcomes.append(PlannedOutcomes(run.task, run.method, run.seed, step, at, again, measured, made_from))
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
        grid_measures=options.measures if "measures" in options.model_fields_set else (),
        target_reduction=options.target_reduction,
        equivalence_margin=options.margin(),
        sampling=options.sampling(),
        alpha=options.alpha,
        equal_skill=options.equal_skill,
        equal_skill_score=_scores_of(config, names),
        reference_method=config.reference,
        comparison_methods=[name for name in config.method_names if name != config.reference],
        method_words={name: said for name in config.method_names if (said := _words(config, name, names))},
        grouped_tasks=[name for name in names if config.spec(name).groups_by is not None],
        random_changes=random_changes,
        outcomes=outcomes,
        sections=options.sections(),
        weights=options.weight_options(),
        first_tokens=FirstTokensPlan(general_text, options.first_positions, options.first_token_draws),
        samples_of=samples_of,
        sample_texts=options.sample_texts,
        blocks=config.extraction.blocks,
        commands=_commands(config, config_path, names),
        configuration=configuration_text(config),
        merged=_merged(config),
        stack=config.extraction.stack,
        tuning=tuning_of(config, planned_runs(config, tasks=names)),
    )


def _merged(config: StudyConfig) -> MergedStudy | None:
    """The studies that this one was put together from; None for one study. Raises DataError if its record cannot be read."""
    path = config.results_dir / MERGE_FILE
    return MergedStudy.read(path) if stands_there(path) else None


def _commands(config: StudyConfig, config_path: str | None, names: Sequence[str]) -> list[str]:
    """The commands that make the study again; those of a merged study are its parts' and the merge itself."""
    merged = _merged(config)
    if merged is None:
        return reproducing_commands(config, config_path, names)
    return [*dict.fromkeys(command for source in merged.sources for command in source.commands), merged.command]


def _scores_of(config: StudyConfig, names: Sequence[str]) -> dict[str, float]:
    """Returns the scores at equal skill of these tasks. Raises UnknownNameError for one of a task that the study does not have."""
    given = config.analysis.equal_skill_score
    for name in given:
        if name not in config.task_names:
            raise UnknownNameError.of("task under equal_skill_score", name, config.task_names)
    return {name: score for name, score in given.items() if name in names}


def _weights(
    config: StudyConfig, run: RunId, step: int, found: Sequence[FinishedRun]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The folders of the runs of this task, method and seed, by the digest of their weights at a step.

    First those that were trained as the study says, then the others. Runs that did not record the digest are in neither.
    """
    choice = latest_choice(config, run.task, run.method, None)
    if config.tune is not None and choice is None:
        return {}, {}  # which runs are the study's is not known before its rates are chosen
    wanted = config.hyperparameters(run.task, run.method, choice.learning_rate if choice is not None else None)
    fitting: dict[str, Path] = {}
    others: dict[str, Path] = {}
    for trained in found:
        record = trained.record
        if (record.task, record.method, record.seed) != (run.task, run.method, run.seed):
            continue
        digest = recorded_digest(record, step)
        if digest is not None:
            fits = not record.other_settings(wanted)
            (fitting if fits else others)[digest] = trained.folder
    return fitting, others
