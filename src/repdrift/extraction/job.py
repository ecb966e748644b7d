"""One model over one sample set, into one representation set on disk."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn

from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.records.representation_set import BASE_METHOD, SET_FORMAT_VERSION, SetMetadata
from repdrift.core.versions import library_versions
from repdrift.extraction.adapters import LoRARepresentationExtractor
from repdrift.extraction.extractor import RepresentationExtractor
from repdrift.extraction.options import ExtractionOptions
from repdrift.models import ModelSource, load_adapted, load_backbone, load_task_model
from repdrift.stores.representation_set import RepresentationSetWriter, existing_key
from repdrift.tasks import SampleSet


@dataclass(frozen=True)
class ExtractionJob:
    """A base model (`tuned` is None) or a model tuned from it, and the samples it is shown.

    tuned: a full model or a PEFT adapter. task_kind and num_labels say which head an adapter was trained with.
    metrics: the training run's, carried along into the set's metadata.
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

    @property
    def source(self) -> ModelSource:
        """The files whose weights are measured."""
        return self.tuned or self.base

    def key(self) -> str:
        """Hash of what determines the set's content."""
        return config_sha256(
            {
                "format": SET_FORMAT_VERSION,
                "weights": self.source.weights_digest(),
                "base": self.base.weights_digest(),
                "samples": self.samples.fingerprint,
                "options": self.options.for_key(),
            }
        )


def extract_set(job: ExtractionJob, folder: Path) -> tuple[SetMetadata, bool]:
    """Write the representation set of `job` to `folder`, unless a finished one of the same key is there.

    Returns its metadata, and whether it was extracted now. A set of another key in `folder` is replaced; from the
    first moment of that until the last file is written the folder holds no metadata.json, so it counts as unfinished.
    """
    key = job.key()
    stored = existing_key(folder)
    if stored == key:
        return SetMetadata.read(folder / "metadata.json"), False
    if stored is not None:
        say(f"{folder} holds another extraction (other model, samples or settings): extracting anew")
    clock = time.perf_counter()
    extractor = _extractor(job)
    label = f"{job.task} {job.method}" + ("" if job.seed is None else f" seed {job.seed}")
    say(f"extracting {label}, {len(job.samples)} samples, {len(extractor.layers)} layers -> {folder}")
    writer = RepresentationSetWriter(folder, payload=job.options.payload)
    shapes: list[tuple[int, ...]] = []

    def write(layer: int, tensor: torch.Tensor) -> None:
        writer.write_layer(layer, tensor)
        shapes.append(tuple(tensor.shape))

    extractor.run(job.samples, write, what=label)
    adapters = extractor.adapter_layers() if isinstance(extractor, LoRARepresentationExtractor) else None
    for adapter in adapters or ():
        writer.write_adapter(adapter.layer, adapter.a, adapter.b)
    device = str(next(extractor.backbone.parameters()).device)
    metadata = writer.finish(
        key=key,
        task=job.task,
        method=job.method,
        seed=job.seed,
        step=job.step,
        model=job.source.ref if job.method == BASE_METHOD else job.base.ref,
        model_revision=job.base.revision,
        weights_digest=job.source.weights_digest(),
        base_weights_digest=job.base.weights_digest(),
        sample_set_fingerprint=job.samples.fingerprint,
        sample_ids=list(job.samples.sample_ids),
        truncated_samples=job.samples.truncated_samples,
        pooling=job.options.pooling,
        dtype=job.options.dtype,
        compute_dtype=job.options.compute_dtype,
        layers=extractor.layers,
        shape=list(shapes[0]),
        tokens_per_sample=job.samples.lengths if job.options.pooling == "tokens" else None,
        adapter=[adapter.record() for adapter in adapters] if adapters else None,
        run_metrics=job.metrics,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        extraction={
            "data_source": job.samples.source,
            "token_budget": job.options.token_budget,
            "blocks": extractor.blocks.path,
            "device": device,
            "wall_time_s": round(time.perf_counter() - clock, 2),
        },
    )
    del extractor
    gc.collect()
    return metadata, True


def _extractor(job: ExtractionJob) -> RepresentationExtractor:
    options = job.options
    kind: type[RepresentationExtractor] = RepresentationExtractor
    if job.tuned is not None and job.tuned.is_adapter:
        model: nn.Module = load_adapted(
            job.base, job.tuned, job.task_kind, num_labels=job.num_labels, dtype=options.compute_dtype
        )
        kind = LoRARepresentationExtractor
    elif job.tuned is not None:  # with its head: only so are the names in its files those of the model
        model = load_task_model(job.tuned, job.task_kind, num_labels=job.num_labels, dtype=options.compute_dtype)
        model.eval()
    else:
        model = load_backbone(job.base, dtype=options.compute_dtype)
    if torch.accelerator.is_available():
        model.to(str(torch.accelerator.current_accelerator()))  # pyright: ignore[reportArgumentType]
    return kind(
        model,
        layers=list(options.layers) if options.layers is not None else None,
        pooling=options.pooling,
        dtype=options.dtype,
        token_budget=options.token_budget,
        blocks=options.blocks,
    )
