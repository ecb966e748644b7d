"""The faults of a study that can be known before its first run is trained, all in one message: no hours are lost by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from repdrift.batches.input_checks import require_samples_fit
from repdrift.core.errors import ConfigError, RepdriftError
from repdrift.core.words import counted
from repdrift.models import (
    backbone_of,
    changed_files,
    find_blocks,
    length_limit,
    load_tokenizer,
    task_skeleton,
)
from repdrift.outcomes.harness_run import load_tasks
from repdrift.outcomes.harness_tasks import HarnessOptions
from repdrift.outcomes.retrieval_texts import RetrievalOptions, read_pairs
from repdrift.study.disk_space import TrainedBytes, require_folders, require_room
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId
from repdrift.tasks import effective_max_length
from repdrift.training import (
    TrainingJob,
    checkpoint_steps,
    finished_runs,
    prepared,
    require_available,
    require_checkpointable,
    require_ids_fit,
    require_room_for_prompt,
    saved_bytes,
)
from repdrift.training.task_kinds.causal_lm import require_continuations

T = TypeVar("T")


def ready_jobs(
    inputs: StudyInputs, runs: Sequence[RunId], *, before_tuning: bool = False
) -> list[tuple[RunId, TrainingJob]]:
    """Returns each run with its job, after everything was checked that is known before training.

    before_tuning: the jobs need no learning rate yet.

    Checked are: folders and free space; rows, labels and samples of every task; layers and blocks of the extraction; and for
    every kind of run its head, the arm's modules and rank, the longest input, the batch and the checkpoints. No weights are
    loaded, since the model is built on the meta device, and nothing is written.
    Raises the fault if there is one, and ConfigError that lists them if there are several.
    """
    found = _Faults()
    are_writable = found.of(lambda: require_folders(inputs.config, runs)) or not found.found
    found.of(lambda: inputs.stores.require_reachable(list(dict.fromkeys(run.task for run in runs))))
    config = found.of(lambda: inputs.model_config)
    job_of = inputs.job_before_tuning if before_tuning else inputs.training_job
    jobs = [(run, job) for run in runs if (job := found.of(lambda run=run: job_of(run))) is not None]
    classes = {
        job.spec.name: found.of(job.classes) for _, job in {job.spec.name: (run, job) for run, job in jobs}.values()
    }
    if config is not None:
        found.of(lambda: _require_layers(inputs))
        found.of(lambda: inputs.base_sites)
        found.of(lambda: _require_schedule(inputs, jobs))
        outcomes = inputs.config.chosen_outcomes()
        if "outputs" in outcomes:
            found.of(lambda: inputs.general_text)
        if (benchmarks := outcomes.get("lm_eval")) is not None:  # names of tasks, and their data
            found.of(lambda: load_tasks(HarnessOptions.model_validate(benchmarks)))
        if (retrieval := outcomes.get("retrieval")) is not None:
            found.of(lambda: read_pairs(RetrievalOptions.model_validate(retrieval), load_tokenizer(inputs.base)))
        for task in dict.fromkeys(run.task for run in runs):
            most = max((job.arm.virtual_tokens for run, job in jobs if run.task == task), default=0)
            found.of(lambda task=task, most=most: _require_samples(inputs, task, most))
    for job in {(job.spec.name, job.arm.name): job for _, job in jobs}.values():
        found.of(lambda job=job: _require_steps(job))
    left = (found.of(lambda: not_trained(inputs, jobs)) or []) if config is not None and are_writable else []
    for job in {job.spec.name: job for _, job in left if job.spec.kind == "causal_lm"}.values():
        found.of(lambda job=job: _require_continuations(job, config))
    saved: dict[RunId, TrainedBytes] = {}
    checkpoints: dict[RunId, int] = {}
    known: dict[str, TrainedBytes | None] = {}
    for run, job in left:
        labels = classes.get(job.spec.name)
        kind = f"{job.spec.kind} {job.arm.name} {labels and len(labels.values)} {job.hyperparameters()}"
        if kind not in known:
            known[kind] = found.of(
                lambda job=job, labels=labels: _require_trainable(job, config, labels and len(labels.values))
            )
        if (each := known[kind]) is not None:
            checkpoints[run] = least_checkpoints(job)
            saved[run] = each.of_models(1 + checkpoints[run])
    found.raise_any(f"study {inputs.config.name!r}")
    require_room(inputs, runs, saved, checkpoints if inputs.config.analysis.equal_skill else None)
    return jobs


@dataclass
class _Faults:
    """Faults in the order in which they were found, each message once."""

    found: list[RepdriftError] = field(default_factory=list)

    def of(self, check: Callable[[], T]) -> T | None:
        """Returns what the check returns; None if it raises an error of ours, which is kept."""
        try:
            return check()
        except RepdriftError as error:
            if str(error) not in map(str, self.found):
                self.found.append(error)
            return None

    def raise_any(self, where: str) -> None:
        """Raises the only fault as it is, or ConfigError that lists several."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            listed = "\n".join(f"  - {fault}" for fault in self.found)
            raise ConfigError(f"{where}: {len(self.found)} faults, and nothing was trained\n{listed}")


def _require_layers(inputs: StudyInputs) -> None:
    """Raises UnknownNameError for a layer, or ModelError for blocks or a stack, that the base model does not have."""
    options = inputs.config.extraction
    if inputs.skeleton is not None:
        backbone = backbone_of(inputs.skeleton, options.stack)
        blocks = find_blocks(backbone, path=options.blocks, stack=options.stack)
        blocks.select(None if options.layers is None else list(options.layers), model_name=inputs.base.ref)


def _require_schedule(inputs: StudyInputs, jobs: Sequence[tuple[RunId, TrainingJob]]) -> None:
    """Raises ConfigError if the study asks for a schedule in which what one of its arms trains cannot be extracted."""
    arms = {job.arm.name: job.arm for _, job in jobs}.values()
    unfit = [arm.name for arm in arms if not arm.tuning.runs_by_block(arm.options)]
    if unfit and inputs.config.extraction.schedule == "layer":
        raise ConfigError(
            f"extraction.schedule is layer, and {counted(len(unfit), 'arm')} cannot be extracted block by block: {', '.join(unfit)} (of adapters, "
            "plain LoRA can). Set schedule to sample or auto, or leave the arm out."
        )


def _require_samples(inputs: StudyInputs, task: str, virtual_tokens: int) -> None:
    """Raises DataError if the samples of a task cannot be made, hold a token that the model does not have, or are too long.

    virtual_tokens: the most that a learned prompt among the arms puts before them.
    """
    samples = inputs.sample_set(task)
    if inputs.skeleton is not None:
        require_ids_fit([{"input_ids": ids} for ids in samples.input_ids], inputs.skeleton, samples.tokenizer)
        if virtual_tokens:
            require_samples_fit(samples, inputs.skeleton, virtual_tokens=virtual_tokens)


def _require_steps(job: TrainingJob) -> None:
    """Raises ConfigError if a batch is larger than the data, or no checkpoint would be saved; of question answering that is not known."""
    job.options.require_choice()
    held = job.held_out()
    if job.spec.kind == "extractive_qa":
        return  # a row becomes several inputs
    rows, options = len((job.training_rows() if held is None else held.to_train).rows), job.options
    which = f"task {job.spec.name!r}"
    if options.batch_size > rows:
        raise ConfigError(
            f"{which}: batch_size is {options.batch_size}, and there are {counted(rows, 'training row')} ({job.train.source}). Take a "
            f"batch_size of {rows} or less, or more rows."
        )
    steps = options.steps(rows)
    if options.checkpoint_every is not None and options.checkpoint_every > steps:
        raise ConfigError(
            f"{which}: checkpoint_every is {options.checkpoint_every}, and the training takes {counted(steps, 'step')}, so that no checkpoint "
            f"would be saved. Take {steps} or less, or leave it out (for this task alone, under training.tasks)."
        )
    if options.checkpoints is not None and options.checkpoints > steps:
        raise ConfigError(
            f"{which}: checkpoints is {options.checkpoints}, and the training takes {counted(steps, 'step')}. Take {steps} or less (for this "
            "task alone, under training.tasks)."
        )


def least_checkpoints(job: TrainingJob) -> int:
    """Returns the least number of checkpoints that a run saves."""
    held = job.held_out()
    rows = (job.training_rows() if held is None else held.to_train).rows
    return len(checkpoint_steps(job.options, job.options.steps(len(rows))))


def _require_trainable(job: TrainingJob, config: Any, num_labels: int | None) -> TrainedBytes | None:
    """Returns the size of what the run saves; None if it is not known.

    Raises ModelError if the model has no such head, or the arm does not fit it; DataError if max_length is beyond the model.
    """
    require_available(job.options, job.arm)
    skeleton = task_skeleton(config, job.spec.kind, num_labels=num_labels)
    if skeleton is None:
        return None
    require_checkpointable(skeleton, job.options, job.arm)
    tokenizer, limit = load_tokenizer(job.base), length_limit(skeleton)
    require_room_for_prompt(job, tokenizer, limit, effective_max_length(tokenizer, limit, job.options.max_length))
    return TrainedBytes(saved_bytes(prepared(skeleton, job.arm, job.spec.kind).model))


def _require_continuations(job: TrainingJob, config: Any) -> None:
    """Raises DataError if rows cannot be made into texts to continue, no completion is left of any, or the scorer finds no answer.

    The tokenizer's end token and chat template are part of that.
    """
    skeleton = task_skeleton(config, job.spec.kind)
    if skeleton is None:
        return
    tokenizer = load_tokenizer(job.base)
    max_length = effective_max_length(tokenizer, length_limit(skeleton), job.options.max_length)
    require_continuations(job.spec, tokenizer, max_length, job.training_rows(), job.validation_rows())


def not_trained(inputs: StudyInputs, jobs: Sequence[tuple[RunId, TrainingJob]]) -> list[tuple[RunId, TrainingJob]]:
    """The jobs for which no finished run of the same settings is there, whatever its rows: what can be checked of it was checked then."""
    there = [found.record for found in finished_runs(inputs.config.results_dir)]
    digest, settings = inputs.base.weights_digest(), inputs.base_settings

    def is_there(job: TrainingJob) -> bool:
        wanted = job.hyperparameters()
        return any(
            (record.task, record.method, record.seed, record.base_digest)
            == (job.spec.name, job.arm.name, job.seed, digest)
            and not changed_files(record.base_settings, settings)
            and not record.other_settings(wanted)
            for record in there
        )

    return [(run, job) for run, job in jobs if not is_there(job)]
