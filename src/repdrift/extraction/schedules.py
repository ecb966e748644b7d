"""The two orders in which samples and blocks can be run: sample-major, and layer-major for models larger than memory."""

from __future__ import annotations

from typing import Literal, Protocol

import torch

from repdrift.batches.batching import BatchPlan
from repdrift.core.errors import ModelError
from repdrift.core.memory import available_memory_bytes
from repdrift.core.records.representation_set import RandomChange
from repdrift.extraction.batch_writer import BatchWriter
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.layer_major import LayerMajorExtraction
from repdrift.extraction.lora_matrices import LayerAdapter
from repdrift.extraction.sample_major import SampleMajorExtraction
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models.checkpoint import estimated_bytes
from repdrift.weights import WeightComparison

_USABLE_PART_OF_FREE_MEMORY = 0.75


class ScheduledExtraction(Protocol):
    """A job whose model is ready to be run, in one order or the other.

    layers: the layers that are extracted. site_layers: by site other than `resid_post` the layers that have it. sites_left_out: sites that
    the model has nowhere, with the reason. blocks_path: the name of the model's list of blocks.
    random_change: what was done to the base model before it is run; None if nothing was. sinks: the tokens that the pooling
    leaves out, which `write` finds if the job does not give them; None if the pooling needs none. virtual_tokens: the positions of
    a learned prompt before every sample.
    """

    schedule: Literal["sample", "layer"]
    layers: list[int]
    site_layers: dict[str, list[int]]
    sites_left_out: dict[str, str]
    blocks_path: str
    random_change: RandomChange | None
    sinks: SinkMask | None
    virtual_tokens: int

    def plan(self) -> BatchPlan:
        """The batches of the job's samples. Raises DataError if a sample is longer than the model's maximum."""
        ...

    def write(self, plan: BatchPlan, numbers: list[int], writer: BatchWriter) -> None:
        """Run the batches with these numbers, and write their rows. Raises NonFiniteError naming layer and sample."""
        ...

    def find_sinks(self, plan: BatchPlan, numbers: list[int]) -> None:
        """Look for the sinks of the batches with these numbers, whose rows are written already."""
        ...

    def adapter_layers(self) -> list[LayerAdapter] | None:
        """The LoRA matrices of each block, or None for a model without an adapter; called after `write`."""
        ...

    def weight_changes(self) -> WeightComparison:
        """The distance of each weight from the base model's."""
        ...


def scheduled(job: ExtractionJob) -> ScheduledExtraction:
    """Load the model of `job` for the schedule that its options ask for.

    Raises ModelError if the model cannot be loaded or has no blocks, or if noise has to be added to a model that is run
    layer by layer; UnknownNameError for a layer that the model does not have.
    """
    if chosen_schedule(job) == "sample":
        return SampleMajorExtraction(job)
    if job.random_change is not None:
        raise ModelError(
            "noise is added to the whole base model, and the layer-major schedule never holds the whole of it. Where memory "
            "allows it, use --schedule sample."
        )
    return LayerMajorExtraction(job)


def chosen_schedule(job: ExtractionJob) -> Literal["sample", "layer"]:
    """The schedule asked for; `auto` takes `layer` if the weights would fill over three quarters of the free memory."""
    options, source = job.options, job.full_model
    if options.schedule != "auto":
        return options.schedule
    if source.gguf_file or options.stack == "decoder":
        return "sample"  # neither can be read block by block
    if torch.cuda.is_available():
        free: int | None = torch.cuda.mem_get_info()[0]
    else:
        free = available_memory_bytes()
    if free is None:
        return "sample"
    needed = estimated_bytes(source, options.compute_dtype)
    return "sample" if needed <= _USABLE_PART_OF_FREE_MEMORY * free else "layer"
