"""Extraction into a representation set on disk: reused, resumed, or written anew."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repdrift.batches.batching import BatchPlan
from repdrift.core.process_group import device, world
from repdrift.core.progress import say
from repdrift.core.records.base import library_versions
from repdrift.core.records.representation_set import BASE_METHOD, SetMetadata
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.layer_major import LayerMajorExtraction
from repdrift.extraction.row_index import RowIndex
from repdrift.extraction.schedules import ScheduledExtraction, chosen_schedule, scheduled
from repdrift.extraction.sink_names import named_sinks
from repdrift.models import changed_files
from repdrift.models.configuration import configuration_notes
from repdrift.stores import RepresentationSetWriter, existing_key, finished_set


def extract_set(job: ExtractionJob, folder: Path) -> tuple[SetMetadata, bool]:
    """Write the representation set of `job` to `folder`, unless a finished one with the same key is there.

    A tuned model or a random change whose job does not give the base model's sinks, though its pooling needs them, costs a run
    of the base model more. Returns the metadata, and whether the set was extracted now. If the process is killed, the next call continues after
    the batches that are complete, and ends with the same files. A set with another key in `folder` is replaced. Under
    `torchrun` the processes share the batches and write into one set. If another process is writing the set, this waits.
    """
    processes = world()
    if job.lacks_sinks:
        job = replace(job, sinks=_sinks_of_base(job))
    key, settings = job.key(), job.settings()
    found = processes.from_first(_look(folder, key, settings) if processes.is_first else None)
    if found == "the same":
        processes.from_first(_brought_up_to_date(folder, job) if processes.is_first else None)
        return SetMetadata.read(folder / "metadata.json"), False
    if found is not None:
        say(f"{folder} holds another extraction ({found}): extracting anew")
    start = time.perf_counter()
    if job.watcher is not None and chosen_schedule(job) != "sample":
        job = replace(job, watcher=None)  # no whole model gives a last hidden state
    if job.watcher is not None:
        job.watcher.prepare()
    with processes.together(f"loading {job.label}"):
        extraction = scheduled(job)
    if job.tuned is None and processes.is_first:
        for note in configuration_notes(job.base):
            say(f"{job.label}: {note}")
    plan = extraction.plan()
    writer = RepresentationSetWriter(
        folder,
        key=key,
        settings=settings,
        layers=extraction.layers,
        sites=extraction.site_layers,
        n_rows=RowIndex(job.samples, job.pooling).n_rows,
        plan=plan.settings,
        n_batches=len(plan),
        payload=job.options.payload,
        dtype=job.options.dtype,
        rank=processes.rank,
        world_size=processes.size,
    )
    if not processes.is_first:
        processes.barrier()  # the first process looks at what is on the disk before the others do
    with writer:
        if processes.is_first:
            processes.barrier()
        finished = processes.from_first(writer.finished)
        if finished is not None:
            return finished, False
        _write(job, extraction, writer, start)
    has_cycle = isinstance(extraction, LayerMajorExtraction)  # its lazily loaded model refers to itself
    del extraction
    if has_cycle:
        gc.collect()
    return SetMetadata.read(folder / "metadata.json"), True


def _brought_up_to_date(folder: Path, job: ExtractionJob) -> None:
    """Writes into a finished set what may have changed though its numbers have not.

    These are the scores of the job's run, which may have been scored on other rows, and the groups of the samples.
    """
    stored = SetMetadata.read(folder / "metadata.json")
    groups = None if job.samples.groups is None else list(job.samples.groups)
    now: dict[str, Any] = {"sample_groups": groups, "sample_group_unit": job.samples.group_unit}
    if job.metrics is not None:
        now |= {"run_metrics": job.metrics, "run_learnt": job.learnt, "trained_steps": job.trained_steps}
    if any(getattr(stored, name) != value for name, value in now.items()):
        stored.model_copy(update=now).write(folder / "metadata.json")


def _look(folder: Path, key: str, settings: Mapping[str, str]) -> str | None:
    """Tells in words how the finished set in `folder` differs from the one that is wanted; None if there is none."""
    stored = existing_key(folder)
    if stored is None:
        return None
    if stored != key:
        return "other model, samples or settings"
    if finished_set(folder, key, settings) is None:
        changed = changed_files(SetMetadata.read(folder / "metadata.json").settings, settings)
        return f"of the same weights, with another {' and '.join(changed)}"
    return "the same"


def _write(job: ExtractionJob, extraction: ScheduledExtraction, writer: RepresentationSetWriter, start: float) -> None:
    processes = world()
    # An unfinished set keeps the batches that it was begun with, whatever the budget is now: others would change its bits.
    plan = BatchPlan(job.samples, **writer.plan)
    waiting = [number for number in range(len(plan)) if number not in writer.done]
    say(
        f"extracting {job.label}, {len(job.samples)} samples, {len(extraction.layers)} layers"
        + "".join(f", {site}" for site in extraction.site_layers)
        + "".join(f", no {site} ({why})" for site, why in extraction.sites_left_out.items())
        + f" -> {writer.folder}"
        + (f" (continued: {len(writer.done)} of {len(plan)} batches are there)" if writer.done else "")
    )
    if job.watcher is not None:
        job.watcher.begin(plan)
    # A control may fail while the study goes on. Every process must then know of it once all are done with their share.
    with nullcontext() if job.random_change is None else processes.together(f"extracting {job.label}"):
        extraction.write(plan, waiting[processes.rank :: processes.size], writer)
        writer.flush()
    sinks = _sinks(job, extraction, plan, sorted(writer.done))
    processes.barrier()
    if job.watcher is not None:
        job.watcher.finish()
    if processes.is_first:
        adapters = extraction.adapter_layers()
        for adapter in adapters or ():
            writer.write_adapter(adapter.layer, adapter.a, adapter.b)
        weights = extraction.weight_changes() if job.options.weights and job.tuned is not None else None
        writer.finish(
            **_metadata(job, extraction, plan, time.perf_counter() - start),
            adapter=[adapter.record() for adapter in adapters] if adapters else None,
            weight_changes=weights.changes if weights else None,
            weights_not_compared=weights.not_compared if weights else None,
            random_change=extraction.random_change,
            sinks=sinks,
            sites_left_out=extraction.sites_left_out,
        )
    processes.barrier()


def _sinks_of_base(job: ExtractionJob) -> SinkTokens:
    """Runs the base model of `job` over the samples to find its sinks."""
    say(f"looking for the attention sinks of the base model, which {job.label} leaves out too")
    base = replace(job, method=BASE_METHOD, seed=None, tuned=None, random_change=None)
    extraction = scheduled(base)
    plan = extraction.plan()
    found = _sinks(base, extraction, plan, list(range(len(plan))))
    assert found is not None  # noqa: S101  the pooling leaves sinks out
    return found


def _sinks(
    job: ExtractionJob, extraction: ScheduledExtraction, plan: BatchPlan, written_before: list[int]
) -> SinkTokens | None:
    """Sinks for the metadata: those of the job, or those that all processes have found.

    Batches that an earlier run wrote are run again for it, since their sinks were lost with that run.
    """
    if extraction.sinks is None or job.sinks is not None:
        return job.sinks
    processes = world()
    extraction.find_sinks(plan, written_before[processes.rank :: processes.size])
    extraction.sinks.share()
    found = extraction.sinks.record(job.samples)
    return named_sinks(found, job.base) if job.names_tokens else found


def _metadata(job: ExtractionJob, extraction: ScheduledExtraction, plan: BatchPlan, seconds: float) -> dict[str, Any]:
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
        "sample_groups": None if job.samples.groups is None else list(job.samples.groups),
        "sample_group_unit": job.samples.group_unit,
        "truncated_samples": job.samples.truncated_samples,
        "pooling": job.pooling,
        "virtual_tokens": extraction.virtual_tokens,
        "pool_over": job.options.pool_over,
        "compute_dtype": job.options.compute_dtype,
        "tokens_per_sample": job.samples.pooled_lengths if job.pooling == "tokens" else None,
        "run_metrics": job.metrics,
        "run_learnt": job.learnt,
        "run_quantised_base": job.quantised_base,
        "trained_steps": job.trained_steps,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": library_versions(),
        "extraction": {
            "data_source": job.samples.source,
            "data_notes": list(job.samples.notes),
            "schedule": extraction.schedule,
            "token_budget": plan.token_budget,
            "blocks": extraction.blocks_path,
            "device": str(device()),
            "processes": world().size,
            "wall_time_s": round(seconds, 2),
        },
    }
