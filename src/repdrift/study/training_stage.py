"""The training stage of a study: trains the runs that are not finished, and finds those that are."""

from __future__ import annotations

from collections.abc import Iterable

from repdrift.core.errors import ConfigError, MissingRunError, NonFiniteError
from repdrift.core.hidden_secrets import without_secrets
from repdrift.core.learnt_words import learnt_in_short
from repdrift.core.process_group import process_count
from repdrift.core.progress import say, say_step
from repdrift.core.records.run import RunRecord
from repdrift.core.words import counted, listed, scores
from repdrift.models import changed_files
from repdrift.study.inputs import StudyInputs
from repdrift.study.readiness import ready_jobs
from repdrift.study.runs import RunId, repdrift_command
from repdrift.training import FinishedRun, TrainingJob, train_unless_claimed

_SHOWN_SCORES = ("accuracy", "f1", "exact_match", "loss")


def train_runs(inputs: StudyInputs, runs: Iterable[RunId]) -> list[FinishedRun]:
    """Train every run that is not finished yet, after all that can be known beforehand was checked for all of them.

    A run whose training diverges is left out, and the others are trained. Raises NonFiniteError at the end that names each
    of those; ConfigError under torchrun; and whatever ready_jobs() raises.
    """
    if process_count() > 1:
        raise ConfigError(
            "under torchrun only `repdrift extract` and `repdrift compare` share out their work. Train without torchrun; "
            "for several runs at once, start `repdrift train` for each."
        )
    jobs = ready_jobs(inputs, list(runs))
    finished: dict[RunId, FinishedRun] = {}
    diverged: list[str] = []
    waiting = dict(jobs)
    # Runs that another process is training are left for the end, so that two processes share a study's work.
    for wait in (False, True):
        for run, job in list(waiting.items()):
            try:
                done = _train(inputs, run, job, wait=wait)
            except NonFiniteError as error:
                diverged.append(str(error))
                say(f"left out: {error}")
                del waiting[run]
                continue
            if done is None:
                say(f"{run}: another process is training it; the next run first")
                continue
            del waiting[run]
            finished[run] = done
            say_step(len(finished), len(jobs), "models", f"{run}: {trained_in_words(done)}")
    if diverged:
        others = f" The other {len(finished)} of {len(jobs)} are trained." if finished else ""
        raise NonFiniteError(
            f"{counted(len(diverged), 'run')} diverged, and nothing of {'it' if len(diverged) == 1 else 'them'} is kept.{others}\n"
            + "\n".join(diverged)
        )
    inputs.stores.require_sent()
    return [finished[run] for run, _ in jobs]


def train_run(inputs: StudyInputs, run: RunId, *, wait: bool) -> FinishedRun | None:
    """Train one run, unless it is finished; returns None at once if another process is training it and `wait` is False.

    What can be known before training is not checked here, see `ready_jobs`. Raises NonFiniteError if training diverges, and whatever
    `StudyInputs.training_job` raises.
    """
    return _train(inputs, run, inputs.training_job(run), wait=wait)


def _train(inputs: StudyInputs, run: RunId, job: TrainingJob, *, wait: bool) -> FinishedRun | None:
    done = train_unless_claimed(job, inputs.config.results_dir, wait=wait)
    if done is not None:
        inputs.journal.note(
            "train", str(run), folder=str(done.folder), new=done.trained_now, wall_time_s=done.record.wall_time_s
        )
        inputs.stores.send(done.folder)
    return done


def trained_in_words(done: FinishedRun) -> str:
    """Says whether a run was trained now, its scores, whether it has learnt, and where it lies."""
    state = "trained" if done.trained_now else "already trained"
    return f"{state}, {_scores(done.record)}, learnt: {learnt_in_short(done.record.learnt)} ({done.folder})"


def find_run(inputs: StudyInputs, run: RunId) -> FinishedRun:
    """The latest finished run of this task, method, seed, base model, hyperparameters and training rows.

    The base model is known by its weights, its configuration and its tokenizer's files; runs of older versions tell the
    weights alone. The rows are compared where the training data is on this machine. Raises MissingRunError with the command that trains
    the run. The message says so if only a run with other settings or on other rows is there.
    """
    config = inputs.config
    candidates = [
        found
        for found in inputs.finished_runs()
        if (found.record.task, found.record.method, found.record.seed) == (run.task, run.method, run.seed)
    ]
    wanted = inputs.hyperparameters(run.task, run.method)
    digest = inputs.base.weights_digest()
    fitting = [
        found
        for found in candidates
        if found.record.base_digest == digest
        and not changed_files(found.record.base_settings, inputs.base_settings)
        and not found.record.other_settings(wanted)
    ]
    rows_now = inputs.training_fingerprint(run.task, run.method) if fitting else None
    on_these_rows = [found for found in fitting if rows_now in (None, found.record.data_fingerprint)]
    if on_these_rows:
        return max(on_these_rows, key=lambda found: found.record.started)
    if fitting:
        why = f" {fitting[-1].folder} was trained on other rows: the training data was changed since."
    else:
        why = _why_none(candidates, wanted, inputs)
    raise MissingRunError(
        f"no trained model for {run} of {config.model} in {config.results_dir}/.{why} "
        f"Train it with:\n    {repdrift_command('train', run, inputs.config_path)}"
    )


def _why_none(candidates: list[FinishedRun], wanted: dict[str, object], inputs: StudyInputs) -> str:
    if not candidates:
        return ""
    folder, record = candidates[-1].folder, candidates[-1].record
    if record.base_digest != inputs.base.weights_digest():
        if without_secrets(record.base_model) == without_secrets(inputs.base.ref):
            return (
                f" {folder} was trained from other weights of {record.base_model}: the files in {inputs.base.path} were changed or damaged "
                "since. Restore the base model from a copy; if the change is wanted, train again."
            )
        return f" {folder} was trained from another base model ({record.base_model})."
    if changed := changed_files(record.base_settings, inputs.base_settings):
        return (
            f" {folder} was trained from the same weights, but {listed(changed)} of the base model in {inputs.base.path} was changed, added "
            "or taken away since: with it, the weights there are another model. Restore the base model from a copy, or train again."
        )
    differing = [
        f"{name} {record.hyperparameters.get(name)!r} instead of {wanted.get(name)!r}"
        for name in record.other_settings(wanted)
    ]
    return f" {folder} was trained with other settings: {', '.join(differing[:4])}."


def _scores(record: RunRecord) -> str:
    shown = {name: record.metrics.get(name) for name in record.metrics if name in _SHOWN_SCORES}
    return scores(shown)
