"""The extraction stage of a study: sets of the base model, of every trained model, and of the random changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from repdrift.batches.state_watcher import StateWatcher
from repdrift.core.errors import ModelError, NonFiniteError, RepdriftError
from repdrift.core.process_group import world
from repdrift.core.progress import say_step
from repdrift.core.records.representation_set import BASE_METHOD, SetMetadata
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.extraction import ExtractionJob, extract_set
from repdrift.models import ModelSource
from repdrift.stores import open_set
from repdrift.study.inputs import StudyInputs
from repdrift.study.random_changes import extract_random_change, random_change_job, runs_to_match
from repdrift.study.recorded_models import recorded_model
from repdrift.study.runs import RunId, base_folder, identity_folder, random_change_folder, set_folder
from repdrift.study.saved_models import saved_model, wanted_steps
from repdrift.study.shared_passes import SharedPasses
from repdrift.study.training_stage import find_run
from repdrift.training import FinishedRun


@dataclass(frozen=True)
class ExtractedSet:
    """A representation set of a study. extracted_now: made by this call, not found on the disk."""

    folder: Path
    metadata: SetMetadata
    extracted_now: bool

    @property
    def words(self) -> str:
        """The folder, and whether the set was made now."""
        return f"{self.folder}: {'extracted' if self.extracted_now else 'already there'}"


def extract_runs(
    inputs: StudyInputs, runs: Iterable[RunId], *, checkpoint: str | None = None, outputs_too: bool = False
) -> list[ExtractedSet]:
    """Extract every run's sets, and the base model's sets of their tasks.

    checkpoint: None for the final model (step 0), a step, or `all` for the final model and every saved checkpoint,
    `saved` for these where a run may have none. outputs_too: also read the outputs on the task's inputs from the same passes, for an
    evaluation that follows.
    All runs are looked up before the first is extracted. The random changes of the same size come last. If one of them
    cannot be made, the reason is said, and the other sets are there all the same.
    Raises MissingRunError if a run is not trained or did not save the checkpoint.
    """
    found = [(run, find_run(inputs, run)) for run in runs]
    passes = SharedPasses(inputs) if outputs_too else None
    jobs = [job for task in dict.fromkeys(run.task for run, _ in found) for job in _base_jobs(inputs, task, passes)]
    for run, trained in found:
        jobs += _run_jobs(inputs, run, trained, checkpoint, passes)
    written: list[ExtractedSet] = []
    sinks: dict[str, SinkTokens | None] = {}
    for number, (job, folder) in enumerate(jobs, start=1):
        # The base model's set comes first: what it leaves out, every other set of the task leaves out.
        extracted = _extract(inputs, replace(job, sinks=sinks.get(job.task)), folder, passes)
        sinks.setdefault(job.task, extracted.metadata.sinks)
        say_step(number, len(jobs), "representation sets", extracted.words)
        written.append(extracted)
    by_folder = {extracted.folder: extracted.metadata for extracted in written}
    final = {run: by_folder[at] for run, _ in found if (at := set_folder(inputs.config, run)) in by_folder}
    written += _extract_random_changes(inputs, final)
    inputs.stores.require_sent()
    return written


def extract_base(inputs: StudyInputs, task: str, passes: SharedPasses | None) -> list[ExtractedSet]:
    """Extract the base model's two sets of a task, and keep from the same passes what outputs need. passes: None keeps nothing."""
    written: list[ExtractedSet] = []
    for job, folder in _base_jobs(inputs, task, passes):
        sinks = written[0].metadata.sinks if written else None
        written.append(_extract(inputs, replace(job, sinks=sinks), folder, passes))
    return written


def extract_run(
    inputs: StudyInputs, run: RunId, passes: SharedPasses, *, checkpoint: str | None = None
) -> list[ExtractedSet]:
    """Extract the sets of one run; the base model's set of its task is there already, and gives the attention sinks.

    checkpoint: as for `extract_runs`. Raises MissingRunError if the run is not trained, or the base model's set is not there.
    """
    trained = find_run(inputs, run)
    sinks = open_set(base_folder(inputs.config, run.task)).metadata.sinks
    return [
        _extract(inputs, replace(job, sinks=sinks), folder, passes)
        for job, folder in _run_jobs(inputs, run, trained, checkpoint, passes)
    ]


def extract_controls(inputs: StudyInputs, runs: Iterable[RunId]) -> list[ExtractedSet]:
    """Extract the random changes for runs that are extracted. One that cannot be made is said, and left out.

    runs: every run of a task and method, since the study may want a random change for the first of them alone.
    """
    return _extract_random_changes(inputs, {run: open_set(set_folder(inputs.config, run)).metadata for run in runs})


def base_is_extracted(inputs: StudyInputs, task: str) -> bool:
    """Tells whether both sets of the base model are there, with the keys of the study's settings. Sizes are looked at, contents are not read."""
    (job, folder), (again, again_folder) = _base_jobs(inputs, task, None)
    try:
        sinks = open_set(folder).metadata.sinks  # found with the first set, and left out of the second
    except RepdriftError:
        return False
    return _is_there(job, folder) and _is_there(replace(again, sinks=sinks), again_folder)


def run_is_extracted(inputs: StudyInputs, run: RunId, *, checkpoint: str | None = None) -> bool:
    """Tells whether every set of a run is there, with the keys of the study's settings and of the weights that the run's record names.

    Sizes are looked at, contents are not read. Raises MissingRunError if the run is not trained.
    """
    trained = find_run(inputs, run)
    try:
        sinks = open_set(base_folder(inputs.config, run.task)).metadata.sinks
        return all(
            _is_there(
                replace(_job_of(inputs, run, trained, step, recorded_model(trained, step), None), sinks=sinks),
                set_folder(inputs.config, run, step),
            )
            for step in wanted_steps(run, trained.record, checkpoint)
        )
    except RepdriftError:
        return False


def controls_are_extracted(inputs: StudyInputs, runs: Iterable[RunId]) -> bool:
    """Tells whether the random changes are there that the study wants of these runs, all of a task and method."""
    try:
        final = {run: open_set(set_folder(inputs.config, run)).metadata for run in runs}
        return all(
            _is_there(
                random_change_job(inputs.base, inputs.sample_set(run.task), inputs.config.extraction, final[run]),
                random_change_folder(inputs.config, run),
            )
            for run in runs_to_match(inputs.config, final)
        )
    except RepdriftError:
        return False


def _is_there(job: ExtractionJob, folder: Path) -> bool:
    try:
        stored = open_set(folder).metadata
        return stored.key == job.key() and (not stored.settings or stored.settings == job.settings())
    except RepdriftError:
        return False


def _extract(inputs: StudyInputs, job: ExtractionJob, folder: Path, passes: SharedPasses | None) -> ExtractedSet:
    inputs.stores.before_extraction(job, folder)
    extracted = ExtractedSet(folder, *extract_set(job, folder))
    inputs.stores.after_extraction(job, folder)
    if passes is not None and job.watcher is not None and job.watcher is passes.of_base(job.task):
        passes.base_was_extracted(job.task, extracted.metadata, extracted.extracted_now)
    _note(inputs, f"{job.task}, {job.method}, seed {job.seed}", folder=str(folder), new=extracted.extracted_now)
    return extracted


def _run_jobs(
    inputs: StudyInputs, run: RunId, trained: FinishedRun, checkpoint: str | None, passes: SharedPasses | None
) -> list[tuple[ExtractionJob, Path]]:
    return [
        (_tuned_job(inputs, run, trained, step, passes), set_folder(inputs.config, run, step))
        for step in wanted_steps(run, trained.record, checkpoint)
    ]


def _extract_random_changes(inputs: StudyInputs, final: dict[RunId, SetMetadata]) -> list[ExtractedSet]:
    written: list[ExtractedSet] = []
    # The answer depends on what lies on the disk, where this call is at work: the first process decides for all.
    wanted = world().from_first(runs_to_match(inputs.config, final) if world().is_first else None) or []
    for number, run in enumerate(wanted, start=1):
        folder = random_change_folder(inputs.config, run)
        try:
            made = extract_random_change(
                inputs.base, inputs.sample_set(run.task), inputs.config.extraction, final[run], folder
            )
        except (ModelError, NonFiniteError) as error:
            _note(inputs, f"{run}, random change", missing=str(error))
            say_step(
                number,
                len(wanted),
                "random changes",
                f"the control of a random change as large as that of {run} is missing: {error}",
            )
            continue
        extracted = ExtractedSet(folder, *made)
        inputs.stores.send(folder)
        _note(inputs, f"{run}, random change", folder=str(folder), new=extracted.extracted_now)
        say_step(number, len(wanted), "random changes", extracted.words)
        written.append(extracted)
    return written


def _note(inputs: StudyInputs, what: str, **details: object) -> None:
    if world().is_first:
        inputs.journal.note("extract", what, **details)


def _base_jobs(inputs: StudyInputs, task: str, passes: SharedPasses | None) -> list[tuple[ExtractionJob, Path]]:
    job = ExtractionJob(task, BASE_METHOD, None, 0, inputs.base, inputs.sample_set(task), inputs.config.extraction)
    job = replace(job, names_tokens=inputs.config.analysis.sample_texts)
    watcher = None if passes is None else passes.of_base(task)
    return [
        (replace(job, watcher=watcher), base_folder(inputs.config, task)),
        # The same samples in other batches: their difference is the noise of extraction.
        (replace(job, rebatched=True), identity_folder(inputs.config, task)),
    ]


def _tuned_job(
    inputs: StudyInputs, run: RunId, trained: FinishedRun, step: int, passes: SharedPasses | None
) -> ExtractionJob:
    tuned = saved_model(inputs, trained, step)
    watcher = None if passes is None else passes.of_run(run, trained, tuned, step)
    return _job_of(inputs, run, trained, step, tuned, watcher)


def _job_of(
    inputs: StudyInputs, run: RunId, trained: FinishedRun, step: int, tuned: ModelSource, watcher: StateWatcher | None
) -> ExtractionJob:
    record = trained.record
    return ExtractionJob(
        task=run.task,
        method=run.method,
        seed=run.seed,
        step=step,
        base=inputs.base,
        samples=inputs.sample_set(run.task),
        options=inputs.config.extraction,
        tuned=tuned,
        task_kind=record.task_kind,
        num_labels=record.num_labels,
        metrics=record.metrics if step == 0 else (record.checkpoint_scores or {}).get(step),
        learnt=record.learnt if step == 0 else None,
        quantised_base=record.tuning.quantised_base if record.tuning is not None else None,
        trained_steps=step or record.final_step,
        watcher=watcher,
    )
