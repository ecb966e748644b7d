"""Sample-major extraction into a set on disk: the model is loaded whole, and batches flow through it."""

from __future__ import annotations

from typing import Literal

from torch import nn

from repdrift.batches.batching import BatchPlan
from repdrift.core.process_group import device
from repdrift.core.records.representation_set import RandomChange
from repdrift.extraction.batch_writer import BatchWriter
from repdrift.extraction.extractor import RepresentationExtractor
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.lora_matrices import LayerAdapter, LoRARepresentationExtractor
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models import has_lora_matrices, load_adapted, load_backbone, load_task_model
from repdrift.weights import WeightComparison, changes_no_weight, compare_adapter, compare_weights


class SampleMajorExtraction:
    """A `ScheduledExtraction` (see `schedules`) that holds the whole model in memory."""

    schedule: Literal["sample", "layer"] = "sample"

    def __init__(self, job: ExtractionJob) -> None:
        self._job = job
        model = _loaded_model(job)
        # The noise is made and added on the CPU, before the model goes to its device: so it is the same on every machine.
        self.random_change: RandomChange | None = (
            None if job.random_change is None else job.random_change.apply(model, job.options)
        )
        self.sinks = job.sink_mask()
        self._extractor = _extractor(job, model, self.sinks)
        self.virtual_tokens = 0 if self._extractor.prompt is None else self._extractor.prompt.tokens
        self.layers = self._extractor.layers
        self.blocks_path = self._extractor.blocks.path
        self.site_layers = self._extractor.site_layers
        self.sites_left_out = dict(self._extractor.chosen_sites.left_out)

    def plan(self) -> BatchPlan:
        """The batches of the job's samples. Raises DataError if a sample is longer than the model's maximum."""
        budget = self._job.token_budget(self._extractor.token_budget)
        return self._extractor.plan(self._job.samples, token_budget=budget)

    def write(self, plan: BatchPlan, numbers: list[int], writer: BatchWriter) -> None:
        """Run the batches with these numbers, and write all layers of each.

        Raises NonFiniteError naming layer and sample; ModelError if memory does not suffice for one sample.
        """
        watcher = self._job.watcher
        self._extractor.on_final = None if watcher is None else watcher.keep
        for batch in self._extractor.batches(plan, numbers=numbers, what=self._job.label):
            if watcher is not None:
                watcher.batch_done(batch.number)
            writer.write_batch(batch.number, batch.rows, batch.layers, batch.sites)
        self._extractor.on_final = None

    def find_sinks(self, plan: BatchPlan, numbers: list[int]) -> None:
        """Look for the sinks of the batches with these numbers, whose rows are written already."""
        for _ in self._extractor.batches(plan, numbers=numbers, what=f"{self._job.label}, attention sinks"):
            pass

    def adapter_layers(self) -> list[LayerAdapter] | None:
        """The LoRA matrices of each block, or None for a model without any, such as one with another kind of adapter."""
        return self._extractor.adapter_layers() if isinstance(self._extractor, LoRARepresentationExtractor) else None

    def weight_changes(self) -> WeightComparison:
        """The distance of each weight from the base model's."""
        job = self._job
        if self._extractor.prompt is not None:
            return WeightComparison([], [f"all weights: {changes_no_weight(self._extractor.prompt.tokens)}"])
        if job.adapter is not None:
            return compare_adapter(self._extractor.backbone, blocks_path=self.blocks_path, stack=job.options.stack)
        return compare_weights(job.base, job.source, self.blocks_path)


def _loaded_model(job: ExtractionJob) -> nn.Module:
    dtype = job.options.compute_dtype
    if job.tuned is None:
        return load_backbone(job.base, dtype=dtype)
    if job.adapter is not None:
        return load_adapted(job.base, job.adapter, job.task_kind, num_labels=job.num_labels, dtype=dtype)
    # The model keeps its head: without it, the names of its weights would differ from those in the files.
    return load_task_model(job.tuned, job.task_kind, num_labels=job.num_labels, dtype=dtype).eval()


def _extractor(job: ExtractionJob, model: nn.Module, sinks: SinkMask | None) -> RepresentationExtractor:
    options = job.options
    is_lora = job.adapter is not None and has_lora_matrices(job.adapter)
    kind = LoRARepresentationExtractor if is_lora else RepresentationExtractor
    on_device: nn.Module = nn.Module.to(model, device())
    return kind(
        on_device,
        layers=job.chosen_layers,
        sites=options.sites,
        pooling=job.pooling,
        dtype=options.dtype,
        token_budget=options.token_budget,
        memory_cap_bytes=options.memory_cap_bytes,
        blocks=options.blocks,
        stack=options.stack,
        sinks=sinks,
    )
