"""One training run: a base model, a task, a method and a seed in; a finished run folder out."""

from __future__ import annotations

import gc
import resource
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.records.run import MODEL_FOLDER, RUN_FILE, RUN_FORMAT_VERSION, Method, RunRecord
from repdrift.core.versions import library_versions
from repdrift.models import ModelSource, load_task_model, load_tokenizer, quiet_transformers, resolve_model, save_model
from repdrift.tasks import Rows, TaskSpec, choose_rows, effective_max_length
from repdrift.training.features import PaddingCollator
from repdrift.training.folders import find_run_by_key, new_run_folder
from repdrift.training.heads import head_for
from repdrift.training.methods import apply_method
from repdrift.training.options import TrainingOptions


@dataclass(frozen=True)
class TrainingJob:
    """Everything that determines one run, and where its folder goes."""

    spec: TaskSpec
    method: Method
    seed: int
    base: ModelSource
    options: TrainingOptions
    train: Rows
    validation: Rows

    def training_rows(self) -> Rows:
        """The rows trained on: all, or the chosen `max_train_samples`, the same ones for every method and seed."""
        chosen = choose_rows(self.spec, self.train.rows, self.options.max_train_samples, source=self.train.source)
        return Rows(chosen, self.train.source)

    def validation_rows(self) -> Rows:
        """The rows that the metrics are taken on: all, or the chosen `max_validation_samples`."""
        limit = self.options.max_validation_samples
        return Rows(
            choose_rows(self.spec, self.validation.rows, limit, source=self.validation.source), self.validation.source
        )

    def key(self) -> str:
        """Hash of what determines the trained weights and their metrics."""
        return config_sha256(
            {
                "format": RUN_FORMAT_VERSION,
                "task": self.spec.name,
                "kind": self.spec.kind,
                "method": self.method,
                "seed": self.seed,
                "base": self.base.weights_digest(),
                "options": self.options.for_key(self.method),
                "train": self.training_rows().fingerprint,
                "validation": self.validation_rows().fingerprint,
            }
        )


def train(job: TrainingJob, results_dir: Path) -> tuple[Path, RunRecord, bool]:
    """Train `job` unless a finished run of the same key is in `results_dir`.

    Returns the run's folder, its record, and whether it was trained now. A run that stops half-way leaves a folder
    without run.json, which nothing picks up.
    """
    key = job.key()
    existing = find_run_by_key(results_dir, key)
    if existing is not None:
        return *existing, False
    started = datetime.now(UTC)
    folder = new_run_folder(results_dir, job.method, started)
    say(f"training {job.spec.name}, {job.method}, seed {job.seed} -> {folder}")
    record = _train_into(folder, job, key, started)
    record.write(folder / RUN_FILE)
    return folder, record, True


def _train_into(folder: Path, job: TrainingJob, key: str, started: datetime) -> RunRecord:
    from transformers import set_seed

    from repdrift.training.fit import CheckpointSchedule, fit  # brings transformers' Trainer: seconds to import

    clock = time.perf_counter()
    rows, validation = job.training_rows(), job.validation_rows()
    tokenizer = load_tokenizer(job.base)
    # Seeded before the model is built: the head's first weights and LoRA's A are random.
    with quiet_transformers():
        set_seed(job.seed)
    num_labels = _count_labels(job)
    model = load_task_model(job.base, job.spec.kind, num_labels=num_labels)
    max_length = effective_max_length(tokenizer, model.config, job.options.max_length)
    collator = PaddingCollator(int(tokenizer.pad_token_id))  # pyright: ignore[reportArgumentType] (one number, never a list)
    head = head_for(job.spec, tokenizer, collator, job.options, max_length)
    features = head.features(rows.rows)
    tuned = apply_method(model, job.method, job.spec.kind, job.options)
    checkpoints = CheckpointSchedule(folder, job.options.checkpoint_every, tokenizer)
    result = fit(
        tuned,
        features,
        collator,
        job.options,
        seed=job.seed,
        work_dir=folder,
        checkpoints=checkpoints,
        what=f"{job.spec.name} {job.method} seed {job.seed}",
    )
    metrics = head.evaluate(tuned, validation.rows)
    metrics["train_loss"] = result.train_loss
    save_model(tuned, tokenizer, folder / MODEL_FOLDER)
    record = RunRecord(
        key=key,
        task=job.spec.name,
        task_kind=job.spec.kind,
        method=job.method,
        seed=job.seed,
        base_model=job.base.ref,
        base_revision=job.base.revision,
        base_digest=job.base.weights_digest(),
        weights_digest=resolve_model(str(folder / MODEL_FOLDER)).weights_digest(),
        num_labels=num_labels,
        hyperparameters={**job.options.for_key(job.method), "max_length_used": max_length, "steps": result.steps},
        data_source=rows.source,
        data_fingerprint=rows.fingerprint,
        n_train=len(rows.rows),
        n_validation=len(validation.rows),
        metrics=dict(metrics),
        checkpoints=checkpoints.saved,
        versions=library_versions(),
        device=str(next(tuned.parameters()).device),
        started=started.isoformat(timespec="seconds"),
        wall_time_s=round(time.perf_counter() - clock, 2),
        peak_memory_bytes=_peak_memory_bytes(),
    )
    del model, tuned
    gc.collect()
    return record


def _count_labels(job: TrainingJob) -> int | None:
    if job.spec.kind != "classification":
        return None
    if job.spec.label_column is None:
        raise ConfigError(f"task {job.spec.name!r} names no label column: it can be measured, not trained on")
    if job.spec.label_names:
        return len(job.spec.label_names)
    labels = {row[job.spec.label_column] for row in job.train.rows}
    unseen = {row[job.spec.label_column] for row in job.validation.rows} - labels
    if unseen:
        raise DataError(f"task {job.spec.name!r}: validation has classes that training lacks: {sorted(unseen)}")
    return max(labels) + 1


def _peak_memory_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024  # Linux counts in KiB
