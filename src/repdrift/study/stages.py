"""The stages of a study, each resumable by itself: train, extract, analyse, visualise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, MissingRunError, ModelError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import BASE_METHOD, SetMetadata
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RunRecord
from repdrift.extraction import ExtractionJob, extract_set
from repdrift.extraction.distributed import process_count, world
from repdrift.models import ModelSource, load_config, load_tokenizer, resolve_model
from repdrift.study.config import StudyConfig
from repdrift.study.random_changes import extract_random_change, runs_to_match
from repdrift.study.runs import (
    RunId,
    base_folder,
    identity_folder,
    random_change_folder,
    repdrift_command,
    set_folder,
)
from repdrift.tasks import Rows, SampleSet, build_sample_set, effective_max_length, load_rows
from repdrift.training import TrainingJob, finished_runs, train

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """Says what was done when. Nothing is decided from it: what is finished is read off the outputs themselves."""

    def __init__(self, results_dir: Path) -> None:
        self.path = results_dir / JOURNAL_FILE

    def note(self, stage: str, what: str, **details: Any) -> None:
        """Append one line."""
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "stage": stage, "what": what, **details}
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


@dataclass
class StudyStages:
    """Training and extraction of one study. Models, data and sample sets are loaded once and only when needed.

    config_path: what the user gave as --config, for the commands in messages.
    """

    config: StudyConfig
    config_path: str | None = None

    def __post_init__(self) -> None:
        self.journal = Journal(self.config.results_dir)
        self._rows: dict[tuple[str, str], Rows] = {}
        self._samples: dict[str, SampleSet] = {}

    @cached_property
    def base(self) -> ModelSource:
        """The base model's files."""
        return resolve_model(self.config.model, revision=self.config.revision)

    # Training

    def training_job(self, run: RunId) -> TrainingJob:
        """Everything that determines one run."""
        return TrainingJob(
            spec=self.config.spec(run.task),
            method=run.method,
            seed=run.seed,
            base=self.base,
            options=self.config.training_options(run.task, run.method),
            train=self._load(run.task, "train"),
            validation=self._load(run.task, "validation"),
        )

    def train(self, runs: Iterable[RunId]) -> list[tuple[RunId, Path, RunRecord, bool]]:
        """Train every run that is not finished yet. Data and model of all runs are checked before the first starts."""
        if process_count() > 1:
            raise ConfigError(
                "under torchrun only `repdrift extract` and `repdrift compare` share out their work: train without torchrun, "
                "or several runs at once by starting `repdrift train` for each"
            )
        jobs = [(run, self.training_job(run)) for run in runs]
        finished = []
        for number, (run, job) in enumerate(jobs, start=1):
            done = train(job, self.config.results_dir)
            folder, record, new = done.folder, done.record, done.trained_now
            self.journal.note("train", str(run), folder=str(folder), new=new, wall_time_s=record.wall_time_s)
            say(
                f"[{number}/{len(jobs)}] {run}: {'trained' if new else 'already trained'}, {_scores(record)} ({folder})"
            )
            finished.append((run, folder, record, new))
        return finished

    # Extraction

    def find_run(self, run: RunId) -> tuple[Path, RunRecord]:
        """The latest finished run of this task, method, seed, base model and hyperparameters.

        Raises MissingRunError with the command that trains it; it says so if only a run with other settings is there.
        """
        candidates = [
            (found.folder, found.record)
            for found in finished_runs(self.config.results_dir)
            if (found.record.task, found.record.method, found.record.seed) == (run.task, run.method, run.seed)
        ]
        wanted = self.config.training_options(run.task, run.method).for_key(run.method)
        digest = self.base.weights_digest()
        fitting = [
            (folder, record)
            for folder, record in candidates
            if record.base_digest == digest and all(record.hyperparameters.get(k) == v for k, v in wanted.items())
        ]
        if fitting:
            return max(fitting, key=lambda pair: pair[1].started)
        raise MissingRunError(
            f"no trained model for {run} of {self.config.model} in {self.config.results_dir}/.{_why_none(candidates, wanted, digest)} "
            f"Train it with:\n    {repdrift_command('train', run, self.config_path)}"
        )

    def extract(self, runs: Iterable[RunId], *, checkpoint: str | None = None) -> list[tuple[Path, SetMetadata, bool]]:
        """Extract the base model's sets of the tasks concerned, and every run's.

        checkpoint: None for the final model (step 0), a step, or `all` for the final model and every saved checkpoint.
        All runs are looked up before the first is extracted. Random changes as large as the final models' come last: what
        keeps one from being made is said, and the sets of the runs are there all the same.
        """
        found = [(run, *self.find_run(run)) for run in runs]
        jobs = [job for task in dict.fromkeys(run.task for run, _, _ in found) for job in self._base_jobs(task)]
        for run, folder, record in found:
            jobs += [
                (self._tuned_job(run, folder, record, step), set_folder(self.config, run, step))
                for step in _steps(run, record, checkpoint)
            ]
        written: list[tuple[Path, SetMetadata, bool]] = []
        for number, (job, folder) in enumerate(jobs, start=1):
            metadata, new = extract_set(job, folder)
            self._note(f"{job.task}, {job.method}, seed {job.seed}", folder=str(folder), new=new)
            say(f"[{number}/{len(jobs)}] {folder}: {'extracted' if new else 'already there'}")
            written.append((folder, metadata, new))
        by_folder = {folder: metadata for folder, metadata, _ in written}
        final = {run: by_folder[at] for run, _, _ in found if (at := set_folder(self.config, run)) in by_folder}
        return written + self._extract_random_changes(final)

    def _extract_random_changes(self, final: dict[RunId, SetMetadata]) -> list[tuple[Path, SetMetadata, bool]]:
        written: list[tuple[Path, SetMetadata, bool]] = []
        # Which are wanted depends on what lies on the disk, where this very call is at work.
        wanted = world().from_first(runs_to_match(self.config, final) if world().is_first else None) or []
        for number, run in enumerate(wanted, start=1):
            folder = random_change_folder(self.config, run)
            made = extract_random_change(
                self.base, self.sample_set(run.task), self.config.extraction, final[run], folder
            )
            if isinstance(made, str):
                self._note(f"{run}, random change", missing=made)
                say(
                    f"[{number}/{len(wanted)}] the control of a random change as large as that of {run} is missing: {made}"
                )
                continue
            metadata, new = made
            self._note(f"{run}, random change", folder=str(folder), new=new)
            say(f"[{number}/{len(wanted)}] {folder}: {'extracted' if new else 'already there'}")
            written.append((folder, metadata, new))
        return written

    def _note(self, what: str, **details: object) -> None:
        if world().is_first:
            self.journal.note("extract", what, **details)

    def sample_set(self, task: str) -> SampleSet:
        """The fixed sample set of a task, tokenised once."""
        if task not in self._samples:
            options = self.config.extraction
            tokenizer = load_tokenizer(self.base)
            requested = options.max_length or self.config.training_options(task, self.config.methods[0]).max_length
            max_length = effective_max_length(tokenizer, load_config(self.base), requested)
            spec = self.config.spec(task)
            rows = self._load(task, "validation")
            samples = build_sample_set(
                spec, rows.rows, tokenizer, max_length=max_length, n_samples=options.samples, source=rows.source
            )
            cut = f", {samples.truncated_samples} cut at {max_length} tokens" if samples.truncated_samples else ""
            say(f"{task}: {len(samples)} samples from {rows.source}{cut}")
            self._samples[task] = samples
        return self._samples[task]

    def _base_jobs(self, task: str) -> list[tuple[ExtractionJob, Path]]:
        samples, options = self.sample_set(task), self.config.extraction
        job = ExtractionJob(task, BASE_METHOD, None, 0, self.base, samples, options)
        return [
            (job, base_folder(self.config, task)),
            # The same samples in other batches: what then differs is the noise of extraction.
            (replace(job, rebatched=True), identity_folder(self.config, task)),
        ]

    def _tuned_job(self, run: RunId, folder: Path, record: RunRecord, step: int) -> ExtractionJob:
        weights = folder / MODEL_FOLDER if step == 0 else folder / CHECKPOINT_FOLDER / f"step_{step:06d}"
        tuned = resolve_model(str(weights))
        if step == 0 and tuned.weights_digest() != record.weights_digest:
            raise ModelError(
                f"the weights in {weights} are not the ones that {folder}/run.json describes (digest {tuned.weights_digest()[:12]}, "
                f"expected {record.weights_digest[:12]}): the files were changed or damaged. Delete {folder} and train again."
            )
        return ExtractionJob(
            task=run.task,
            method=run.method,
            seed=run.seed,
            step=step,
            base=self.base,
            samples=self.sample_set(run.task),
            options=self.config.extraction,
            tuned=tuned,
            task_kind=record.task_kind,
            num_labels=record.num_labels,
            metrics=record.metrics if step == 0 else None,
        )

    def _load(self, task: str, split: str) -> Rows:
        if (task, split) not in self._rows:
            spec = self.config.spec(task)
            self._rows[task, split] = load_rows(
                spec,
                split,  # pyright: ignore[reportArgumentType]
                data_dir=self.config.data_dir,
                labelled=spec.label_column is not None,
            )
        return self._rows[task, split]


def _steps(run: RunId, record: RunRecord, checkpoint: str | None) -> list[int]:
    if checkpoint is None:
        return [0]
    saved = ", ".join(map(str, record.checkpoints)) or "none (set training.all.checkpoint_every in the study)"
    if checkpoint == "all":
        if not record.checkpoints:
            raise MissingRunError(f"the run of {run} saved no checkpoint: {saved}")
        return [0, *record.checkpoints]
    if not checkpoint.isdigit() or int(checkpoint) not in (0, *record.checkpoints):
        raise MissingRunError(
            f"the run of {run} has no checkpoint {checkpoint!r}; saved steps: {saved}; 0 or none: the final model"
        )
    return [int(checkpoint)]


def _why_none(candidates: list[tuple[Path, RunRecord]], wanted: dict[str, object], digest: str) -> str:
    if not candidates:
        return ""
    folder, record = candidates[-1]
    if record.base_digest != digest:
        return f" {folder} was trained from another base model ({record.base_model})."
    differing = [
        f"{k} {record.hyperparameters.get(k)!r} instead of {v!r}"
        for k, v in wanted.items()
        if record.hyperparameters.get(k) != v
    ]
    return f" {folder} was trained with other settings: {', '.join(differing[:4])}."


def _scores(record: RunRecord) -> str:
    shown = {name: value for name, value in record.metrics.items() if name in ("accuracy", "f1", "exact_match")}
    return ", ".join(f"{name} {value:.3f}" for name, value in shown.items() if value is not None)
