"""Layer-major extraction: one block's weights in memory at a time, for models larger than memory.

All samples pass through a block before the next one is loaded. Memory holds the embeddings, one block, and the hidden
states of all samples after one layer (in a file beyond a cap), however deep the model is. Each weight is read once, but the
embeddings and masks are computed again for every layer and batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from repdrift.batches.batching import Batch, BatchPlan
from repdrift.batches.input_checks import require_enough_tokens, require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget
from repdrift.core.errors import ModelError
from repdrift.core.process_group import device
from repdrift.core.progress import Bar
from repdrift.core.records.representation_set import RandomChange
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.extraction.activation_store import ActivationStore
from repdrift.extraction.batch_writer import BatchWriter
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.layer_sites import SitesToRead, find_layer_sites
from repdrift.extraction.lora_matrices import LayerAdapter, adapter_of_block
from repdrift.extraction.pooling import Pool, owned_values, pool_for_batch, tokens_needed
from repdrift.extraction.row_index import RowIndex
from repdrift.extraction.single_block import BlockState, SingleBlockRunner
from repdrift.models import DTYPES
from repdrift.models.lazy_model import LazyModel, load_lazy_model
from repdrift.models.sites.taps import ChosenSites
from repdrift.weights import WeightComparison, compare_weights

ACTIVATION_CAP_BYTES = 1 << 30
"""Hidden states of all samples that are kept in memory; the rest goes to a temporary file."""

OnHiddenState = Callable[[int, Batch, Tensor], None]


class LayerMajorExtraction:
    """A `ScheduledExtraction` (see `schedules`) that reads one block at a time from the checkpoint."""

    schedule: Literal["sample", "layer"] = "layer"
    random_change: RandomChange | None = None
    virtual_tokens: int = 0

    def __init__(self, job: ExtractionJob) -> None:
        options = job.options
        self._job = job
        self._lazy_model = load_lazy_model(
            job.full_model,
            dtype=options.compute_dtype,
            blocks=options.blocks,
            stack=options.stack,
            adapter=job.adapter,
            device=device(),
        )
        self.sinks = job.sink_mask()
        self._adapters: dict[int, LayerAdapter] = {}
        blocks = self._lazy_model.blocks
        self.layers = blocks.select(job.chosen_layers, model_name=type(self._lazy_model.model).__name__)
        if not self.layers:
            raise ModelError("no layer was asked for")
        self.blocks_path = blocks.path
        self._chosen = ChosenSites()
        if options.sites != (RESID_POST,):
            self._chosen = find_layer_sites(self._lazy_model, options.sites, self.layers, what=job.label)
        self.site_layers = self._chosen.layers
        self.sites_left_out = dict(self._chosen.left_out)

    def plan(self) -> BatchPlan:
        """The batches of the job's samples. Raises DataError, naming the sample, if the model cannot run or pool one."""
        options, config = self._job.options, self._lazy_model.model.config.get_text_config()
        require_samples_fit(self._job.samples, self._lazy_model.runner)
        require_enough_tokens(self._job.samples, tokens_needed(self._job.pooling), self._job.pooling)
        budget = options.token_budget or auto_token_budget(
            config, itemsize=DTYPES[options.compute_dtype].itemsize, cap_bytes=options.memory_cap_bytes
        )
        return BatchPlan(self._job.samples, token_budget=self._job.token_budget(budget))

    def write(self, plan: BatchPlan, numbers: list[int], writer: BatchWriter) -> None:
        """Run the batches with these numbers layer by layer, and write their rows. Raises NonFiniteError naming layer and sample.

        If the sinks are not known, all blocks are run once before, to find them.
        """
        batches = [plan[number] for number in numbers]
        if not batches:
            return
        self.find_sinks(plan, numbers)
        pooling, dtype = self._job.pooling, DTYPES[self._job.options.dtype]
        index = RowIndex(plan.samples, pooling)
        pools: dict[int, Pool] = {}

        def write_place(place: SiteLayer, batch: Batch, hidden: Tensor) -> None:
            if batch.number not in pools:
                sinks = None if self.sinks is None else self.sinks.positions(batch.inputs)
                pools[batch.number] = pool_for_batch(
                    pooling, batch.inputs["attention_mask"].to(hidden.device), sinks, among=batch.pooled
                )
            values, rows = pools[batch.number](hidden).cpu(), index.rows_of(batch.sample_indices)
            index.require_finite(values, place.words, rows, dtype)
            stored = owned_values(values.to(dtype), hidden)
            if place.site != RESID_POST:
                writer.write_batch(batch.number, rows, {}, {place: stored})
                return
            writer.write_batch(batch.number, rows, {place.layer: stored})
            if self._job.adapter is not None and place.layer not in self._adapters:
                self._adapters[place.layer] = adapter_of_block(
                    place.layer, self._lazy_model.blocks.modules[place.layer]
                )

        run_layer_major(
            self._lazy_model,
            batches,
            self.layers,
            lambda layer, batch, hidden: write_place(SiteLayer(RESID_POST, layer), batch, hidden),
            sites=SitesToRead(self._chosen.taps, write_place),
            what=self._job.label,
        )

    def find_sinks(self, plan: BatchPlan, numbers: list[int]) -> None:
        """Look for the sinks of the batches with these numbers, in one run through all blocks."""
        sinks = self.sinks
        if sinks is None or not sinks.open:
            return
        batches = [batch for number in numbers if not sinks.knows((batch := plan[number]).inputs)]
        if not batches:
            return
        run_layer_major(
            self._lazy_model,
            batches,
            range(len(self._lazy_model.blocks)),
            lambda _, batch, hidden: sinks.observe(batch.inputs, hidden),
            what=f"{self._job.label}, attention sinks",
        )
        for batch in batches:
            sinks.settle(batch.inputs)

    def adapter_layers(self) -> list[LayerAdapter] | None:
        """The LoRA matrices of each block, or None for a model without an adapter. Raises ModelError if no block has any.

        `write` keeps them as it loads the blocks. Blocks that it did not load, because their batches were written before
        or by other processes, are loaded here.
        """
        if self._job.adapter is None:
            return None
        for layer in self.layers:
            if layer not in self._adapters:
                with self._lazy_model.block(layer) as block:
                    self._adapters[layer] = adapter_of_block(layer, block)
        found = [adapter for _, adapter in sorted(self._adapters.items()) if adapter.a]
        if not found:
            raise ModelError("no LoRA matrices in the blocks: the adapter adapts other modules")
        return found

    def weight_changes(self) -> WeightComparison:
        """The distance of each weight from the base model's.

        The changes that an adapter makes are not measured: the base model's weights are never in memory together.
        """
        if self._job.adapter is not None:
            return WeightComparison([], ["all adapted weights: not measured in the layer-major schedule"])
        return compare_weights(self._job.base, self._job.source, self.blocks_path)


def run_layer_major(
    lazy_model: LazyModel,
    batches: Sequence[Batch],
    layers: Sequence[int],
    on_hidden_state: OnHiddenState,
    *,
    sites: SitesToRead | None = None,
    what: str = "extracting",
) -> None:
    """Run all `batches` through the model block by block, up to the deepest of `layers`, or of `sites`.

    batches: at least one; they are iterated once for each block, in the same order. layers: block numbers, at least one.
    on_hidden_state: is called with the layer, the batch, and its hidden state (b, t, d). The tensor is on the model's
    device, and only valid during the call. sites: others that are read, in the same way. what: a few words for the progress bar.
    Raises ModelError before anything is run if a weight of those blocks is missing, and later if the architecture does not
    allow it; StorageError if the temporary file cannot be written.
    """
    read = sites or SitesToRead()
    depth = lazy_model.depth
    deepest = max(*layers, *(min(place.layer, depth - 1) for place in read.taps), 0)
    lazy_model.require_blocks(range(deepest + 1))
    lazy_model.load_outside_blocks()
    runner = SingleBlockRunner(lazy_model.blocks)
    with ActivationStore(ACTIVATION_CAP_BYTES) as store, Bar(what, len(batches) * (deepest + 1)) as bar:
        states = _BatchStates(store, lazy_model.device)
        for layer in range(deepest + 1):
            to_end = any(place.layer == depth for place in read.taps) and layer == depth - 1
            with (
                torch.inference_mode(),
                lazy_model.block(layer),
                runner.only(layer, to_end=to_end) as run_block,
                read.in_block(lazy_model.blocks, layer),
            ):
                for batch in batches:
                    before = states.get(batch.number) if layer else None
                    read.batch = batch
                    after = run_block(_inputs(lazy_model, batch), before)
                    if layer < deepest:
                        states.put(batch.number, after, before)
                    if layer in layers:
                        hidden = runner.hidden_state(after, batch.inputs["attention_mask"].shape)
                        on_hidden_state(layer, batch, hidden)
                    bar.advance()


class _BatchStates:
    """The state of each batch, by its number, after the last block that was run."""

    def __init__(self, store: ActivationStore, device: torch.device) -> None:
        self._store = store
        self._device = device
        self._extras: dict[int, tuple[Any, ...] | None] = {}
        self._shared: dict[tuple[int, torch.Size], _StoredTensor] = {}

    def get(self, number: int) -> BlockState:
        extras = self._extras[number]
        if extras is not None:
            extras = tuple(
                self._store.get(extra.slot).to(self._device) if isinstance(extra, _StoredTensor) else extra
                for extra in extras
            )
        return BlockState(self._store.get((number, "hidden")).to(self._device), extras)

    def put(self, number: int, after: BlockState, before: BlockState | None) -> None:
        self._store.put((number, "hidden"), after.hidden)
        if after.extras is None:
            self._extras[number] = None
            return
        given = () if before is None else before.extras or ()
        kept = self._extras.get(number) or ()
        self._extras[number] = tuple(
            # T5's blocks return the very tensor that they were given.
            kept[position]
            if position < len(given) and extra is given[position]
            else self._keep(number, position, extra)
            for position, extra in enumerate(after.extras)
        )

    def _keep(self, number: int, position: int, extra: Any) -> Any:
        if not isinstance(extra, Tensor):
            return extra
        # A tensor that depends on the batch's length alone (a position bias) is kept once for all batches of that length.
        shared = self._shared.get((position, extra.shape))
        if shared is not None and torch.equal(self._store.get(shared.slot), extra.cpu()):
            return shared
        is_first = number not in self._extras
        kept = _StoredTensor((number, f"first {position}" if is_first else position))
        self._store.put(kept.slot, extra)
        if is_first:
            self._shared.setdefault((position, extra.shape), kept)
        return kept


@dataclass(frozen=True)
class _StoredTensor:
    slot: tuple[int, int | str]


def _inputs(lazy_model: LazyModel, batch: Batch) -> Mapping[str, Any]:
    parameters = inspect.signature(lazy_model.runner.forward).parameters
    inputs: dict[str, Any] = {name: tensor.to(lazy_model.device) for name, tensor in batch.inputs.items()}
    if "token_type_ids" not in parameters:
        inputs.pop("token_type_ids", None)
    return {**inputs, "use_cache": False} if "use_cache" in parameters else inputs
