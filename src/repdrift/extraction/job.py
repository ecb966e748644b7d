"""One model over one sample set, into one representation set on disk."""

from __future__ import annotations

import gc
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.records.representation_set import BASE_METHOD, SET_FORMAT_VERSION, SetMetadata
from repdrift.core.versions import library_versions
from repdrift.extraction.batching import BatchPlan
from repdrift.extraction.distributed import device, world
from repdrift.extraction.extractor import RepresentationExtractor
from repdrift.extraction.lora_matrices import LoRARepresentationExtractor
from repdrift.extraction.matched_change import MatchedChange
from repdrift.extraction.options import ExtractionOptions
from repdrift.extraction.passes import LayerMajorPass, Pass, SampleMajorPass, chosen_schedule
from repdrift.extraction.row_index import RowIndex
from repdrift.models import ModelSource, load_adapted, load_backbone, load_task_model
from repdrift.stores import RepresentationSetWriter, existing_key
from repdrift.tasks import SampleSet

_SHARE_OF_SECOND_PASS = 3


@dataclass(frozen=True)
class ExtractionJob:
    """A base model (`tuned` is None) or a model tuned from it, and the samples it is shown.

    tuned: a full model or a PEFT adapter. task_kind and num_labels say which head an adapter was trained with.
    metrics: the training run's, carried along into the set's metadata. rebatched: with a third of the token budget, so
    that what differs from the same job without it is the noise of extraction. random_change: move the base model by noise
    of that change's size first; `tuned` is then None, `method` `random_change`, and `seed` that of the run matched.
    """

    task: str
    method: str
    seed: int | None
    step: int
    base: ModelSource
    samples: SampleSet
    options: ExtractionOptions
    tuned: ModelSource | None = None
    task_kind: str = "classification"
    num_labels: int | None = None
    metrics: dict[str, float | None] | None = None
    rebatched: bool = False
    random_change: MatchedChange | None = None

    @property
    def source(self) -> ModelSource:
        """The files whose weights are measured."""
        return self.tuned or self.base

    @property
    def label(self) -> str:
        """Short, for progress."""
        seed = "" if self.seed is None else f" seed {self.seed}"
        if self.random_change is not None:
            return f"{self.task} random change as large as {self.random_change.method}{seed}"
        return f"{self.task} {self.method}{seed}"

    def key(self) -> str:
        """Hash of what determines the set's content."""
        fields: dict[str, Any] = {
            "format": SET_FORMAT_VERSION,
            "weights": self.source.weights_digest(),
            "base": self.base.weights_digest(),
            "samples": self.samples.fingerprint,
            "options": self.options.for_key(),
        }
        if self.random_change is not None:
            fields["random_change"] = self.random_change.for_key()
        return config_sha256(fields)


def extract_set(job: ExtractionJob, folder: Path) -> tuple[SetMetadata, bool]:
    """Write the representation set of `job` to `folder`, unless a finished one of the same key is there.

    Returns its metadata, and whether it was extracted now. Killed at any moment, the next call goes on from the batches
    that are complete and ends with the same files. A set of another key in `folder` is replaced. Under `torchrun` the
    batches are shared out among the processes, which write into one set. Another process at the same set is waited for.
    """
    ours = world()
    key = job.key()
    stored = ours.from_first(existing_key(folder) if ours.is_first else None)
    if stored == key:
        return SetMetadata.read(folder / "metadata.json"), False
    if stored is not None:
        say(f"{folder} holds another extraction (other model, samples or settings): extracting anew")
    clock = time.perf_counter()
    with ours.together(f"loading {job.label}"):
        run = _pass(job)
    plan = run.plan(job.samples)
    writer = RepresentationSetWriter(
        folder,
        key=key,
        layers=run.layers,
        n_rows=RowIndex(job.samples, job.options.pooling).n_rows,
        plan=plan.settings,
        n_batches=len(plan),
        payload=job.options.payload,
        dtype=job.options.dtype,
        rank=ours.rank,
        world_size=ours.size,
    )
    if not ours.is_first:
        ours.barrier()  # the first process looks at what is on the disk before the others join in
    with writer:
        if ours.is_first:
            ours.barrier()
        finished = ours.from_first(writer.finished)
        if finished is not None:
            return finished, False
        _write(job, run, writer, clock)
    gc.collect()
    return SetMetadata.read(folder / "metadata.json"), True


def _write(job: ExtractionJob, run: Pass, writer: RepresentationSetWriter, clock: float) -> None:
    ours = world()
    # An unfinished set goes on with its own batches, whatever budget was chosen now: else its bits would differ.
    plan = BatchPlan(job.samples, **writer.plan)
    waiting = [number for number in range(len(plan)) if number not in writer.done]
    say(
        f"extracting {job.label}, {len(job.samples)} samples, {len(run.layers)} layers -> {writer.folder}"
        + (f" (going on: {len(writer.done)} of {len(plan)} batches are there)" if writer.done else "")
    )
    # A control may fail and the study go on: then every process must know of it, once all are through with their share.
    with nullcontext() if job.random_change is None else ours.together(f"extracting {job.label}"):
        run.write(plan, waiting[ours.rank :: ours.size], writer, what=job.label)
        writer.flush()
    ours.barrier()
    if ours.is_first:
        adapters = run.adapter_layers()
        for adapter in adapters or ():
            writer.write_adapter(adapter.layer, adapter.a, adapter.b)
        weights = run.weights(job) if job.options.weights and job.tuned is not None else None
        writer.finish(
            **_metadata(job, run, plan, time.perf_counter() - clock),
            adapter=[adapter.record() for adapter in adapters] if adapters else None,
            weight_changes=weights.changes if weights else None,
            weights_not_compared=weights.not_compared if weights else None,
            random_change=run.random_change,
        )
    ours.barrier()


def _metadata(job: ExtractionJob, run: Pass, plan: BatchPlan, seconds: float) -> dict[str, Any]:
    return {
        "task": job.task,
        "method": job.method,
        "seed": job.seed,
        "step": job.step,
        "model": job.source.ref if job.method == BASE_METHOD else job.base.ref,
        "model_revision": job.base.revision,
        "weights_digest": job.source.weights_digest(),
        "base_weights_digest": job.base.weights_digest(),
        "sample_set_fingerprint": job.samples.fingerprint,
        "sample_ids": list(job.samples.sample_ids),
        "truncated_samples": job.samples.truncated_samples,
        "pooling": job.options.pooling,
        "compute_dtype": job.options.compute_dtype,
        "tokens_per_sample": job.samples.lengths if job.options.pooling == "tokens" else None,
        "run_metrics": job.metrics,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "extraction": {
            "data_source": job.samples.source,
            "schedule": run.schedule,
            "token_budget": plan.token_budget,
            "blocks": run.blocks_path,
            "device": str(device()),
            "processes": world().size,
            "wall_time_s": round(seconds, 2),
        },
    }


def _pass(job: ExtractionJob) -> Pass:
    if chosen_schedule(job.base, job.tuned, job.options) == "layer":
        if job.random_change is not None:
            raise ModelError(
                "the layer-major schedule never holds the whole base model, which is what the noise is added to. Where "
                "memory allows it, use --schedule sample."
            )
        return LayerMajorPass(job.base, job.tuned, job.options, share=_share(job))
    model = _model(job)
    # Before the model goes to its device: the noise is made and added on the CPU, the same on every machine.
    moved = job.random_change.apply(model, job.options) if job.random_change is not None else None
    return SampleMajorPass(_extractor(job, model), job.tuned, share=_share(job), random_change=moved)


def _share(job: ExtractionJob) -> int:
    return _SHARE_OF_SECOND_PASS if job.rebatched else 1


def _model(job: ExtractionJob) -> nn.Module:
    dtype = job.options.compute_dtype
    if job.tuned is None:
        return load_backbone(job.base, dtype=dtype)
    if job.tuned.is_adapter:
        return load_adapted(job.base, job.tuned, job.task_kind, num_labels=job.num_labels, dtype=dtype)
    # With its head: only so are the names in its files those of the model.
    return load_task_model(job.tuned, job.task_kind, num_labels=job.num_labels, dtype=dtype).eval()


def _extractor(job: ExtractionJob, model: nn.Module) -> RepresentationExtractor:
    options = job.options
    adapted = job.tuned is not None and job.tuned.is_adapter
    kind = LoRARepresentationExtractor if adapted else RepresentationExtractor
    on_device: nn.Module = nn.Module.to(model, device())
    return kind(
        on_device,
        layers=list(options.layers) if options.layers is not None else None,
        pooling=options.pooling,
        dtype=options.dtype,
        token_budget=options.token_budget,
        memory_cap_bytes=options.memory_cap_bytes,
        blocks=options.blocks,
        stack=options.stack,
    )
