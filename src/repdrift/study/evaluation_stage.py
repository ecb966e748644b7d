"""The evaluation stage of a study: outcomes of every trained model, measured after extraction. Nothing is trained."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repdrift.core.errors import OutcomeNotApplicable, RepdriftError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.process_group import world
from repdrift.core.progress import say, say_step
from repdrift.core.quoted_examples import without_examples
from repdrift.core.records.base import library_versions
from repdrift.core.records.outcomes import OUTCOMES_FORMAT_VERSION, NotApplicable, RunOutcomes
from repdrift.models import ModelSource, settings_digests
from repdrift.outcomes.outcome import Measured, Outcome, Subject, outcomes
from repdrift.outcomes.outcome_files import existing_items, items_path, items_table, record_path, write_items
from repdrift.outcomes.passed_sums import remove_passed
from repdrift.stores import RepresentationSet, open_set
from repdrift.study.inputs import StudyInputs
from repdrift.study.made_from import outcomes_made_from
from repdrift.study.recorded_models import recorded_model
from repdrift.study.runs import RunId, base_folder, base_states_folder, outcomes_folder, passed_folder, set_folder
from repdrift.study.saved_models import saved_model, wanted_steps
from repdrift.study.task_scoring import TaskScoring
from repdrift.study.training_stage import find_run
from repdrift.tasks.sample_set import sample_ids
from repdrift.training import FinishedRun


@dataclass(frozen=True)
class EvaluatedRun:
    """The outcomes of one trained model. records: by the kind of outcome. measured_now: kinds measured by this call, not found on the disk."""

    run: RunId
    step: int
    folder: Path
    records: Mapping[str, RunOutcomes]
    measured_now: tuple[str, ...]

    @property
    def words(self) -> str:
        """The kinds that were measured now and those that were there, and the folder."""
        parts = []
        if self.measured_now:
            parts.append(f"measured {', '.join(self.measured_now)}")
        if there := [name for name in self.records if name not in self.measured_now]:
            parts.append(f"already there: {', '.join(there)}")
        return f"{'; '.join(parts)} ({self.folder})"


@dataclass
class _Task:
    """The state that the models of one task share. shared, by_study: for outcomes, such as what the base model gives."""

    scoring: TaskScoring
    by_study: dict[Any, Any]
    shared: dict[Any, Any] = field(default_factory=dict)


def evaluate_runs(inputs: StudyInputs, runs: Iterable[RunId], *, checkpoint: str | None = None) -> list[EvaluatedRun]:
    """Measure the study's outcomes of every run; those that are there for the same weights, samples and options are kept.

    checkpoint: None for the final model (step 0) and the saved checkpoints that were measured before, which would else be older than what
    stands beside them; a step; or `all` for the final model and every saved checkpoint. All runs are
    looked up before the first is measured. Under torchrun the processes share the batches of
    outcomes that can be shared, and the first one measures the others. Raises MissingRunError if a run is not
    trained or did not save the checkpoint, and whatever an outcome raises.
    """
    chosen = inputs.config.chosen_outcomes()
    found = [(run, find_run(inputs, run)) for run in runs]
    jobs = [(run, trained, step) for run, trained in found for step in _steps(inputs, run, trained, checkpoint)]
    if not chosen:
        say("the study measures no outcomes (outcomes: in the study file)")
        return []
    if world().size > 1:
        say(
            f"{world().size} processes share the batches of outcomes that are read off two models' outputs; the first one measures the others"
        )
    evaluated: list[EvaluatedRun] = []
    evaluation = Evaluation(inputs)
    for number, (run, trained, step) in enumerate(jobs, start=1):
        done = evaluation.evaluate(run, trained, step)
        say_step(number, len(jobs), "models", f"{_words(run, step)}: {done.words}")
        evaluated.append(done)
    inputs.stores.require_sent()
    return evaluated


class Evaluation:
    """Measures the outcomes of a study's models one after another, keeping what models of one task share. Tasks one after another cost least."""

    def __init__(self, inputs: StudyInputs) -> None:
        self._inputs = inputs
        self._by_study: dict[Any, Any] = {}
        self._task: tuple[str, _Task] | None = None

    def evaluate(self, run: RunId, trained: FinishedRun, step: int) -> EvaluatedRun:
        """Measure the outcomes of the model of a run after `step` (0: the final model). Raises whatever an outcome raises."""
        if self._task is None or self._task[0] != run.task:
            self._task = run.task, _Task(TaskScoring(self._inputs, run.task), self._by_study)
        done = _evaluate(self._inputs, run, trained, step, self._task[1], self._inputs.config.chosen_outcomes())
        if world().is_first:
            self._inputs.journal.note(
                "evaluate", _words(run, step), folder=str(done.folder), new=list(done.measured_now)
            )
            self._inputs.stores.send(done.folder.parent)
        return done

    def evaluate_run(self, run: RunId) -> list[EvaluatedRun]:
        """Measure the final model of a run, and its checkpoints that were measured before. Raises MissingRunError if it is not trained."""
        trained = find_run(self._inputs, run)
        return [self.evaluate(run, trained, step) for step in _steps(self._inputs, run, trained, None)]


def run_is_evaluated(inputs: StudyInputs, run: RunId) -> bool:
    """Tells whether the outcomes of a run's final model, and of checkpoints that were measured before, are there with the keys of now.

    The weights are those that the run's record names; items are not read. Raises MissingRunError if the run is not trained.
    """
    trained = find_run(inputs, run)
    task = _Task(TaskScoring(inputs, run.task), {})
    try:
        for step in _steps(inputs, run, trained, None):
            subject = _subject(inputs, run, trained, step, task, recorded_model(trained, step))
            folder = outcomes_folder(inputs.config, run, step)
            for name, options in inputs.config.chosen_outcomes().items():
                record = RunOutcomes.read(record_path(folder, name))
                is_whole = record.items_sha256 is None or items_path(folder, name).is_file()
                if record.key != _key(subject, outcomes.get(name), options)[0] or not is_whole:
                    return False
    except RepdriftError:
        return False
    return True


def _steps(inputs: StudyInputs, run: RunId, trained: FinishedRun, checkpoint: str | None) -> list[int]:
    steps = wanted_steps(run, trained.record, checkpoint)
    if checkpoint is not None:
        return steps
    return [*steps, *(s for s in trained.record.checkpoints if outcomes_folder(inputs.config, run, s).is_dir())]


def _evaluate(
    inputs: StudyInputs,
    run: RunId,
    trained: FinishedRun,
    step: int,
    task: _Task,
    chosen: Mapping[str, Mapping[str, Any]],
) -> EvaluatedRun:
    folder = outcomes_folder(inputs.config, run, step)
    subject = _subject(inputs, run, trained, step, task, saved_model(inputs, trained, step))
    records: dict[str, RunOutcomes] = {}
    new: list[str] = []
    made_from = outcomes_made_from(inputs.config)
    processes = world()
    for name, options in chosen.items():
        outcome = outcomes.get(name)
        key, settings = _key(subject, outcome, options)
        record = processes.from_first(existing_items(folder, name, key) if processes.is_first else None)
        if record is None:
            record = _measure(subject, outcome, options, key, settings, folder, made_from[name])
            new.append(name)
        elif (
            record.made_from != made_from[name]
        ):  # the same texts from a file that was written anew, or of an older version
            record = record.model_copy(update={"made_from": made_from[name]})
            if processes.is_first:
                record.write(record_path(folder, name))
        records[name] = record
    if processes.is_first:
        remove_passed(passed_folder(inputs.config, run, step))  # taken over, or of other weights by now
    return EvaluatedRun(run, step, folder, records, tuple(new))


def _measure(
    subject: Subject,
    outcome: Outcome,
    options: Mapping[str, Any],
    key: str,
    settings: dict[str, Any],
    folder: Path,
    made_from: dict[str, str],
) -> RunOutcomes:
    clock = time.perf_counter()
    processes = world()
    reason = outcome.applies(subject, options)
    measured = Measured([])
    try:
        if reason is None and outcome.shares_batches:
            measured = outcome.measure(subject, options)
        elif reason is None:
            with processes.together(f"{subject.words}, outcome {outcome.name}"):
                measured = outcome.measure(subject, options) if processes.is_first else measured
    except OutcomeNotApplicable as error:
        reason = str(error)
    except RepdriftError as error:
        raise type(error)(f"{subject.words}, outcome {outcome.name}: {error}") from error
    left_out = [NotApplicable(outcome=name, inputs=inputs, reason=why) for name, inputs, why in measured.left_out]
    if reason is not None:
        left_out = [NotApplicable(outcome=outcome.name, reason=reason)]
    infos = {items.info.name: items.info for items in measured.items}
    record = RunOutcomes(
        name=outcome.name,
        key=key,
        task=subject.task,
        method=subject.method,
        seed=subject.seed,
        step=subject.step,
        outcomes=list(infos.values()),
        not_applicable=left_out,
        notes=list(measured.notes) if subject.quotes_rows else list(map(without_examples, measured.notes)),
        strips=None if measured.strips is None or not subject.keeps_texts else list(measured.strips),
        weights_digest=subject.tuned.weights_digest(),
        base_weights_digest=subject.base.weights_digest(),
        sample_set_fingerprint=subject.samples.fingerprint,
        options=settings,
        made_from=made_from,
        n_items=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        wall_time_s=round(time.perf_counter() - clock, 2),
    )
    with processes.together(f"{subject.words}, outcome {outcome.name}, written"):
        if processes.is_first:
            record = write_items(folder, record, items_table(subject, measured.items))
    return processes.from_first(record)


def _key(subject: Subject, outcome: Outcome, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The hash of all that determines the items of one outcome, and its part beside the weights."""
    settings = {"options": dict(options), **outcome.for_key(subject, options)}
    return (
        config_sha256(
            {
                "format": OUTCOMES_FORMAT_VERSION,
                "outcome": outcome.name,
                "task": subject.task,
                "kind": subject.task_kind,
                "method": subject.method,
                "seed": subject.seed,
                "step": subject.step,
                "base": subject.base.weights_digest(),
                "tuned": subject.tuned.weights_digest(),
                "samples": subject.samples.fingerprint,
                "base_settings": settings_digests(subject.base),
                "tuned_settings": settings_digests(subject.tuned),
                **settings,
            }
        ),
        settings,
    )


def _subject(
    inputs: StudyInputs, run: RunId, trained: FinishedRun, step: int, task: _Task, tuned: ModelSource
) -> Subject:
    record, spec = trained.record, inputs.config.spec(run.task)
    labels = None
    if spec.kind == "classification" and spec.label_column is not None:
        rows = inputs.rows(run.task, "validation")
        ids = sample_ids(spec, rows.rows, rows.source)
        labels = {name: row[spec.label_column] for name, row in zip(ids, rows.rows, strict=True)}
    return Subject(
        task=run.task,
        method=run.method,
        seed=run.seed,
        step=step,
        task_kind=record.task_kind,
        num_labels=record.num_labels,
        base=inputs.base,
        tuned=tuned,
        samples=inputs.sample_set(run.task),
        score_rows=lambda: task.scoring.score(trained, tuned, step),
        rows_fingerprint=task.scoring.fingerprint(record, step),
        data_fingerprint=task.scoring.data_fingerprint,
        has_scorer=spec.continuation.scorer is not None,
        labels=labels,
        general_text=inputs.general_text if "outputs" in inputs.config.chosen_outcomes() else None,
        base_set=_finished(base_folder(inputs.config, run.task)),
        tuned_set=_finished(set_folder(inputs.config, run, step)),
        shared=task.shared,
        shared_by_study=task.by_study,
        base_states=base_states_folder(inputs.config),
        passed=passed_folder(inputs.config, run, step),
        keeps_texts=inputs.config.analysis.sample_texts and step == 0,
        quotes_rows=inputs.config.analysis.sample_texts,
    )


def _finished(folder: Path) -> RepresentationSet | None:
    try:
        return open_set(folder)
    except RepdriftError:
        return None  # what reads it gives the reason


def _words(run: RunId, step: int) -> str:
    return f"{run}, step {step}" if step else str(run)
