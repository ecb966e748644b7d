"""The two ways through a model, behind one face: sample-major if it fits into memory, layer-major if it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.core.progress import Bar
from repdrift.core.records.representation_set import RandomChange
from repdrift.extraction.batching import Batch, BatchPlan
from repdrift.extraction.distributed import device
from repdrift.extraction.extractor import RepresentationExtractor, require_lengths_fit
from repdrift.extraction.layer_major import run_layer_major
from repdrift.extraction.lora_matrices import LayerAdapter, LoRARepresentationExtractor, adapter_of_block
from repdrift.extraction.memory_budget import auto_token_budget, available_memory_bytes
from repdrift.extraction.options import ExtractionOptions
from repdrift.extraction.pooling import Pool, pool_for_batch
from repdrift.extraction.row_index import RowIndex
from repdrift.models import DTYPES, ModelSource
from repdrift.models.checkpoint import estimated_bytes
from repdrift.models.lazy_model import load_lazy_model
from repdrift.stores import RepresentationSetWriter
from repdrift.tasks import SampleSet
from repdrift.weights import WeightComparison, compare_adapter, compare_weights

if TYPE_CHECKING:
    from repdrift.extraction.job import ExtractionJob

_SHARE_OF_MEMORY = 0.75


class Pass(Protocol):
    """One model, ready to run over a sample set into a set on disk."""

    schedule: Literal["sample", "layer"]
    layers: list[int]
    blocks_path: str
    random_change: RandomChange | None
    """What was done to the base model first, if anything."""

    def plan(self, samples: SampleSet) -> BatchPlan:
        """The batches. Raises DataError if a sample is longer than the model's maximum."""
        ...

    def write(self, plan: BatchPlan, numbers: list[int], writer: RepresentationSetWriter, *, what: str) -> None:
        """Run the batches with these numbers and hand their rows to the writer. Raises NonFiniteError naming layer and sample."""
        ...

    def adapter_layers(self) -> list[LayerAdapter] | None:
        """After `write`: LoRA's matrices by block; None for a model without an adapter."""
        ...

    def weights(self, job: ExtractionJob) -> WeightComparison:
        """How far the weights lie from the base model's."""
        ...


def chosen_schedule(
    base: ModelSource, tuned: ModelSource | None, options: ExtractionOptions
) -> Literal["sample", "layer"]:
    """The schedule asked for; for `auto` by whether the weights fit into three quarters of the memory that is free."""
    if options.schedule != "auto":
        return options.schedule
    source = base if tuned is None or tuned.is_adapter else tuned
    if source.gguf_file or options.stack == "decoder":
        return "sample"  # neither can be read block by block
    if torch.cuda.is_available():
        free: int | None = torch.cuda.mem_get_info()[0]
    else:
        free = available_memory_bytes()
    fits = free is None or estimated_bytes(source, options.compute_dtype).whole <= _SHARE_OF_MEMORY * free
    return "sample" if fits else "layer"


class SampleMajorPass:
    """Batches flow through the whole model. share: take 1 / share of the token budget."""

    schedule: Literal["sample", "layer"] = "sample"

    def __init__(
        self,
        extractor: RepresentationExtractor,
        tuned: ModelSource | None,
        *,
        share: int = 1,
        random_change: RandomChange | None = None,
    ) -> None:
        self._extractor = extractor
        self.random_change = random_change
        self._tuned = tuned
        extractor.token_budget = max(1, extractor.token_budget // share)
        self.layers = extractor.layers
        self.blocks_path = extractor.blocks.path

    def plan(self, samples: SampleSet) -> BatchPlan:
        """As the extractor plans."""
        return self._extractor.plan(samples)

    def write(self, plan: BatchPlan, numbers: list[int], writer: RepresentationSetWriter, *, what: str) -> None:
        """Batch by batch, all layers of one at a time."""
        for batch in self._extractor.batches(plan, numbers=numbers, what=what):
            writer.write_batch(batch.number, batch.rows, batch.layers)

    def adapter_layers(self) -> list[LayerAdapter] | None:
        """From the loaded model."""
        return self._extractor.adapter_layers() if isinstance(self._extractor, LoRARepresentationExtractor) else None

    def weights(self, job: ExtractionJob) -> WeightComparison:
        """An adapter's from the loaded model, a full fine-tune's from the two checkpoints."""
        if self._tuned is not None and self._tuned.is_adapter:
            return compare_adapter(self._extractor.backbone, blocks_path=self.blocks_path, stack=job.options.stack)
        return compare_weights(job.base, job.source, self.blocks_path)


class LayerMajorPass:
    """One block's weights at a time, straight from the checkpoint; all samples through it."""

    schedule: Literal["sample", "layer"] = "layer"

    def __init__(
        self, base: ModelSource, tuned: ModelSource | None, options: ExtractionOptions, *, share: int = 1
    ) -> None:
        adapter = tuned if tuned is not None and tuned.is_adapter else None
        source = base if tuned is None or tuned.is_adapter else tuned
        self._lazy_model = load_lazy_model(
            source,
            dtype=options.compute_dtype,
            blocks=options.blocks,
            stack=options.stack,
            adapter=adapter,
            device=device(),
        )
        self._options = options
        self._share = share
        self.random_change: RandomChange | None = None
        self._adapters: dict[int, LayerAdapter] | None = None if adapter is None else {}
        self.layers = self._lazy_model.blocks.select(list(options.layers) if options.layers is not None else None)
        self.blocks_path = self._lazy_model.blocks.path

    def plan(self, samples: SampleSet) -> BatchPlan:
        """As for the sample-major schedule, but for what one layer's rows take."""
        options = self._options
        config = self._lazy_model.model.config.get_text_config()
        require_lengths_fit(samples, config)
        budget = options.token_budget or auto_token_budget(
            config, itemsize=DTYPES[options.compute_dtype].itemsize, cap_bytes=options.memory_cap_bytes
        )
        return BatchPlan(samples, token_budget=max(1, budget // self._share))

    def write(self, plan: BatchPlan, numbers: list[int], writer: RepresentationSetWriter, *, what: str) -> None:
        """Layer by layer, all batches of one at a time."""
        dtype = DTYPES[self._options.dtype]
        batches = [plan[number] for number in numbers]
        if not batches:
            return
        index = RowIndex(plan.samples, self._options.pooling)
        pools: dict[int, Pool] = {}
        with Bar(what, len(batches) * (self.layers[-1] + 1)) as bar:

            def keep(layer: int, _place: int, batch: Batch, hidden: Tensor) -> None:
                if batch.number not in pools:
                    pools[batch.number] = pool_for_batch(
                        self._options.pooling, batch.inputs["attention_mask"].to(hidden.device)
                    )
                values, rows = pools[batch.number](hidden).cpu(), index.rows_of(batch.sample_indices)
                index.require_finite(values, layer, rows, dtype)
                shares = values.untyped_storage().data_ptr() == hidden.untyped_storage().data_ptr()
                writer.write_batch(
                    batch.number,
                    rows,
                    {layer: values.clone() if shares and values.dtype == dtype else values.to(dtype)},
                )
                if self._adapters is not None and layer not in self._adapters:
                    self._adapters[layer] = adapter_of_block(layer, self._lazy_model.blocks.modules[layer])
                bar.advance()

            run_layer_major(self._lazy_model, batches, layers=self.layers, on_hidden_state=keep)

    def adapter_layers(self) -> list[LayerAdapter] | None:
        """Kept while the blocks passed by; read anew where none did, because all batches were there already, or were other
        processes'. Raises ModelError if none of the blocks has any."""
        if self._adapters is None:
            return None
        for layer in self.layers:
            if layer not in self._adapters:
                with self._lazy_model.block(layer) as block:
                    self._adapters[layer] = adapter_of_block(layer, block)
        found = [adapter for _, adapter in sorted(self._adapters.items()) if adapter.a]
        if not found:
            raise ModelError("no LoRA matrices in the blocks: the adapter adapts other modules")
        return found

    def weights(self, job: ExtractionJob) -> WeightComparison:
        """From the two checkpoints; an adapter's are not measured, since the base weights are never there together."""
        if self._adapters is not None:
            return WeightComparison([], ["all adapted weights: not measured in the layer-major schedule"])
        return compare_weights(job.base, job.source, self.blocks_path)
