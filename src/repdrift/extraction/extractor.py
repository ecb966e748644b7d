"""Representations of one loaded model: batches flow through it, and the output of each block is pooled as it appears."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.batches.batching import Batch, BatchPlan, scales_by_batch
from repdrift.batches.input_checks import require_enough_tokens, require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget, is_out_of_memory
from repdrift.core.errors import DataError, ModelError
from repdrift.core.progress import Bar, say
from repdrift.core.records.representation_set import SINK_POOLING, Pooling
from repdrift.core.records.sites import RESID_POST, Site, SiteLayer, places_of
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.extraction.model_inputs import ModelInputs, sample_set_of
from repdrift.extraction.pooled_batch import PooledBatch, joined, require_memory, to_cpu
from repdrift.extraction.pooling import Pool, owned_values, pool_for_batch, tokens_needed
from repdrift.extraction.row_index import RowIndex
from repdrift.extraction.sink_mask import SinkMask
from repdrift.extraction.site_choice import checked_sites, chosen_sites, tensors_asked_for
from repdrift.models import (
    DTYPES,
    Stack,
    backbone_of,
    decoder_inputs,
    execution_device,
    find_blocks,
    learned_prompt_of,
)
from repdrift.models.dimensions import ASSUMED_WIDTH, width_of
from repdrift.models.full_attention import FullAttention
from repdrift.models.sites.taps import Tap
from repdrift.tasks import SampleSet

OnBlock = Callable[[int, Tensor, Pool], None]
OnPlace = Callable[[SiteLayer, Tensor, Pool], None]
OnFinal = Callable[[Batch, Tensor], None]

_WINDOW_BYTES = 2 << 30
"""With pooling `tokens`, samples are sorted by length only within stretches of this size, over all layers. So rows are
complete in about the order of the file, and a file is still in the page cache when its checksum is computed."""


class RepresentationExtractor:
    """Extracts layer-wise representations of one model over a sample set.

    model: any transformers model, with or without task head and adapter. It is put into evaluation mode and stays on its device.
    With a learned prompt (prefix, prompt or P-tuning) the real tokens are read behind the virtual ones, which give no row.
    layers: block numbers, None for all. sites: of `core.records.sites.SITES`; the residual stream is always read. Others are found by one
    more forward pass, on random tokens, which checks the law of each block (docs/explanation/sites.md). pooling: one of `POOLINGS`. dtype: of the representations; pooling is in float32.
    token_budget: tokens of one batch, padding included; None: chosen so that the activations of a batch stay under
    `memory_cap_bytes`. It changes the result by no more than floating-point noise. Where memory runs out, batches are halved.
    A model that rounds activations by the range of a batch (dynamic quantisation) gets each sample alone.
    One that has sparse or full attention by the length of a batch (BigBird) is read with full attention, and is left as it was.
    blocks: name of the module list that holds the blocks, for a model in which it is not found by itself.
    stack: `encoder` or `decoder`, for a model that has both; None means the encoder. The decoder reads the same text,
    shifted by one token.
    on_final, an attribute: called with each batch and the model's last hidden state (b, t, d); of a batch that is run again, again.
    sinks: for pooling `mean_without_sinks`, the tokens to leave out. While the mask is open, the model finds them: then it must
    be the base model. The hidden states of a batch are held until they are known, which the token budget accounts for.
    Raises ModelError if no blocks are found, no layer is asked for, the dtype is unknown, or a site cannot be found; UnknownNameError
    for a layer that the model does not have or a site that is none; DataError for a token budget below 1.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        layers: list[int] | None = None,
        sites: Sequence[Site] = (RESID_POST,),
        pooling: Pooling = "mean",
        dtype: str = "float32",
        token_budget: int | None = None,
        memory_cap_bytes: int | None = None,
        blocks: str | None = None,
        stack: Stack | None = None,
        sinks: SinkMask | None = None,
    ) -> None:
        self.prompt = learned_prompt_of(model)
        self.backbone = backbone_of(model, stack=stack, runs_prompt=True).eval()
        if self.prompt is not None:
            self.prompt.eval()
        self.blocks = find_blocks(self.backbone, path=blocks, stack=stack)
        self.layers = self.blocks.select(layers, model_name=type(self.backbone).__name__)
        if not self.layers:
            raise ModelError("no layer was asked for")
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if token_budget is not None and token_budget < 1:
            raise DataError(f"the token budget must be at least 1, got {token_budget}")
        self.on_final: OnFinal | None = None
        self.without_gradients: Callable[[], AbstractContextManager[Any]] = torch.inference_mode
        self.pooling: Pooling = pooling
        self.dtype = dtype
        self.sinks = sinks
        self.sites = checked_sites(sites)
        self._tensors = tensors_asked_for(self.sites, len(self.layers))
        self._one_by_one = scales_by_batch(self.backbone)
        self.token_budget = 1 if self._one_by_one else token_budget or self._auto_budget(memory_cap_bytes)
        self._stack = stack
        self._most_tokens: int | None = None
        parameters = inspect.signature(self.backbone.forward).parameters
        self._takes_token_types = "token_type_ids" in parameters
        self._takes_positions = "position_ids" in parameters
        self._no_cache = {"use_cache": False} if "use_cache" in parameters else {}
        self._attention = FullAttention(self.backbone)
        self.chosen_sites = chosen_sites(
            self.blocks,
            self.sites,
            self.layers,
            lambda inputs: self._run(self._stack_inputs(inputs), (), lambda *_: None),
        )

    @property
    def site_layers(self) -> dict[str, list[int]]:
        """By site other than `resid_post` the layers that have it."""
        return self.chosen_sites.layers

    @property
    def places(self) -> list[SiteLayer]:
        """Every site and layer that is read."""
        return places_of(self.layers, self.site_layers)

    def _stack_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        if self._stack == "decoder":
            return inputs | decoder_inputs(self.backbone, inputs["input_ids"], inputs["attention_mask"])
        return inputs

    @property
    def device(self) -> torch.device:
        """The device that runs the model; of weights that are offloaded, the one that they are loaded to."""
        return execution_device(self.backbone)

    @property
    def _padding_token(self) -> int | None:
        padding = getattr(getattr(self.backbone, "config", None), "pad_token_id", None)
        return padding if isinstance(padding, int) else None

    def plan(self, samples: SampleSet, *, token_budget: int | None = None) -> BatchPlan:
        """The batches of `samples`. Raises DataError, naming the sample, if the model cannot run one or the pooling cannot pool it.

        token_budget: tokens of one batch, padding included; None means the extractor's own.
        """
        self.require_fit(samples)
        if samples.position_ids is not None and not self._takes_positions:
            raise DataError(f"{type(self.backbone).__name__} takes no position_ids; leave them out of the inputs")
        require_enough_tokens(samples, tokens_needed(self.pooling), self.pooling)
        config = getattr(self.backbone, "config", None)
        window = None
        if self.pooling == "tokens":
            width = width_of(config) or ASSUMED_WIDTH
            window = max(1, _WINDOW_BYTES // (self._tensors * width * DTYPES[self.dtype].itemsize))
        budget = 1 if self._one_by_one else token_budget or self.token_budget  # no batch has fewer samples than one
        return BatchPlan(samples, token_budget=budget, window_tokens=window)

    def require_fit(self, samples: SampleSet) -> None:
        """Raises DataError, naming the sample, if one is too long for the model or holds what it has no row for."""
        require_samples_fit(samples, self.backbone, virtual_tokens=0 if self.prompt is None else self.prompt.tokens)

    def extract(self, samples: SampleSet | ModelInputs, *, what: str = "extracting") -> dict[int, Tensor]:
        """The residual stream by layer number: (n, d) each, in the order of the samples. See `extract_sites`."""
        found = self.extract_sites(samples, what=what)
        return {layer: tensor for (site, layer), tensor in found.items() if site == RESID_POST}

    def extract_sites(self, samples: SampleSet | ModelInputs, *, what: str = "extracting") -> dict[SiteLayer, Tensor]:
        """Representations by site and layer number: (n, d) each, in the order of the samples.

        samples: a sample set, or model inputs (see `extract`). what: a few words for the progress bar.
        With pooling `tokens`, n is the number of real tokens; otherwise it is the number of samples.
        Raises NonFiniteError naming layer and sample; DataError if a sample is longer than the model's maximum;
        StorageError if the representations do not fit into memory.
        """
        sample_set = (
            samples if isinstance(samples, SampleSet) else sample_set_of(samples, padding_token=self._padding_token)
        )
        n_rows = RowIndex(sample_set, self.pooling).n_rows
        found: dict[SiteLayer, Tensor] = {}
        for batch in self.batches(self.plan(sample_set), what=what):
            values = {SiteLayer(RESID_POST, layer): rows for layer, rows in batch.layers.items()}
            values |= {SiteLayer(*place): rows for place, rows in batch.sites.items()}
            if not found:
                width = next(iter(values.values())).shape[1]
                require_memory(n_rows, width, DTYPES[self.dtype], len(values))
                found = {
                    place: torch.empty((n_rows, rows.shape[1]), dtype=rows.dtype) for place, rows in values.items()
                }
            for place, rows in values.items():
                found[place][batch.rows] = rows
        return found

    def batches(
        self, plan: BatchPlan, *, numbers: Iterable[int] | None = None, what: str = "extracting"
    ) -> Iterator[PooledBatch]:
        """Run the batches of `plan` one by one and return the representations of each.

        numbers: of the batches to run; None means all. what: a few words for the progress bar.
        Raises NonFiniteError naming layer and sample.
        """
        chosen = range(len(plan)) if numbers is None else list(numbers)
        index = RowIndex(plan.samples, self.pooling)
        dtype = DTYPES[self.dtype]
        with Bar(what, sum(len(plan.sample_indices[n]) for n in chosen)) as bar:
            for number in chosen:
                batch = plan[number]
                rows = index.rows_of(batch.sample_indices)
                pooled = self._pooled(batch)
                for place, values in pooled.items():
                    index.require_finite(values, place.words, rows, dtype)
                layers = {place.layer: values.to(dtype) for place, values in pooled.items() if place.site == RESID_POST}
                sites = {place: values.to(dtype) for place, values in pooled.items() if place.site != RESID_POST}
                yield PooledBatch(number, rows, layers, sites)
                bar.advance(len(batch.sample_indices))

    def forward(self, batch: Batch, on_block: OnBlock, on_site: OnPlace | None = None) -> None:
        """Run one batch, and call `on_block(layer, hidden, pool)` with the output (b, t, d) of each chosen block.

        on_site: the same for the other sites, with `(site, layer)`. The hidden state is the model's own, on its device: a caller that keeps it copies it. If memory ran out before, the
        batch is run in parts, and `on_block` is called several times for a layer; the samples keep their order.
        Raises ModelError if memory runs out now.
        """

        def pass_on(place: SiteLayer, hidden: Tensor, pool: Pool) -> None:
            if place.site == RESID_POST:
                on_block(place.layer, hidden, pool)
            elif on_site is not None:
                on_site(place, hidden, pool)

        for part in self._parts(batch):
            try:
                with self.without_gradients():
                    self._forward_part(part, pass_on)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                tokens = part.inputs["attention_mask"].numel()
                raise ModelError(
                    f"memory does not suffice for a batch of {tokens} tokens (the system says: {error}). Give a smaller "
                    "memory cap (--memory-cap)."
                ) from error

    def _pooled(self, batch: Batch) -> dict[SiteLayer, Tensor]:
        """All chosen sites and layers of one batch, in float32 on the CPU; run in parts if memory ran out before."""
        parts = [self._pooled_part(part) for part in self._parts(batch)]
        return parts[0] if len(parts) == 1 else joined(parts)

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        waiting = [batch]
        while waiting:
            part = waiting.pop(0)
            if self._most_tokens is not None and len(smaller := part.split(self._most_tokens)) > 1:
                waiting = [*smaller, *waiting]
                continue
            yield part

    def _pooled_part(self, batch: Batch) -> dict[SiteLayer, Tensor]:
        try:
            return self._captured(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            width = int(batch.inputs["attention_mask"].shape[1])
            if len(batch.sample_indices) == 1:
                raise ModelError(
                    f"memory does not suffice for one sample of {width} tokens (the system says: {error}). Give a smaller "
                    "--max-length, or load one block at a time: `repdrift extract --schedule layer`."
                ) from error
        # After the handler, so that the tensors of the failed attempt are freed before the next one.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._most_tokens = max(1, len(batch.sample_indices) // 2) * width
        say(
            f"out of memory at {len(batch.sample_indices)} samples of {width} tokens: continuing with batches of half the size"
        )
        return joined([self._pooled_part(part) for part in batch.split(self._most_tokens)])

    def _captured(self, batch: Batch) -> dict[SiteLayer, Tensor]:
        found: dict[SiteLayer, Tensor] = {}

        def keep(place: SiteLayer, hidden: Tensor, pool: Pool) -> None:
            found[place] = owned_values(pool.fast(hidden), hidden)

        with self.without_gradients():
            self._forward_part(batch, keep)
            on_cpu = to_cpu(found)
            if not all(bool(torch.isfinite(rows).all()) for rows in on_cpu.values()):
                # The padding may hold NaN, and 0 x NaN is NaN: run again and leave the padding out.
                self._forward_part(
                    batch, lambda place, hidden, pool: found.update({place: owned_values(pool.careful(hidden), hidden)})
                )
                on_cpu = to_cpu(found)
        return on_cpu

    def _forward_part(self, batch: Batch, on_place: OnPlace) -> None:
        inputs: dict[str, Any] = {name: tensor.to(self.device) for name, tensor in batch.inputs.items()}
        if not self._takes_token_types:
            inputs.pop("token_type_ids", None)
        inputs = self._stack_inputs(inputs)
        if self.sinks is not None and self.sinks.open and not self.sinks.knows(batch.inputs):
            self._find_sinks(batch, inputs, self.sinks, on_place)
            return
        pools: dict[torch.device, Pool] = {}  # the blocks of one model may lie on several devices

        def pass_on(place: SiteLayer, hidden: Tensor) -> None:
            if hidden.device not in pools:
                pools[hidden.device] = self._pool(batch, inputs["attention_mask"].to(hidden.device))
            on_place(place, hidden, pools[hidden.device])

        self._give_final(batch, self._run(inputs, self.layers, pass_on, self.chosen_sites.taps))

    def _find_sinks(self, batch: Batch, inputs: dict[str, Any], sinks: SinkMask, on_place: OnPlace) -> None:
        """Run one batch whose sinks are not known. The hidden states are held until all blocks have been looked at."""
        held: dict[SiteLayer, Tensor] = {}

        def look(place: SiteLayer, hidden: Tensor) -> None:
            if place.site == RESID_POST:
                sinks.observe(batch.inputs, hidden)
            if place.site != RESID_POST or place.layer in self.layers:
                held[place] = hidden.clone()  # the model may change it in place

        self._give_final(batch, self._run(inputs, range(len(self.blocks)), look, self.chosen_sites.taps))
        sinks.settle(batch.inputs)
        for place in list(held):
            hidden = held.pop(place)
            on_place(place, hidden, self._pool(batch, inputs["attention_mask"].to(hidden.device)))

    def _pool(self, batch: Batch, attention_mask: Tensor) -> Pool:
        known = None if self.sinks is None or self.pooling != SINK_POOLING else self.sinks.positions(batch.inputs)
        return pool_for_batch(self.pooling, attention_mask, known, among=batch.pooled)

    def _give_final(self, batch: Batch, output: Any) -> None:
        """Gives the last hidden state of the model, after any final norm, to whoever watches it."""
        if self.on_final is None:
            return
        hidden = getattr(output, "last_hidden_state", None)
        hidden = output[0] if hidden is None else hidden
        self.on_final(batch, hidden if self.prompt is None else self.prompt.real_tokens(hidden))

    def _run(
        self,
        inputs: dict[str, Any],
        layers: Sequence[int],
        on_place: Callable[[SiteLayer, Tensor], None],
        taps: Mapping[SiteLayer, tuple[Tap, ...]] | None = None,
    ) -> Any:
        seen: set[SiteLayer] = set()
        prompt = self.prompt

        def pass_on(place: SiteLayer, hidden: Tensor) -> None:
            seen.add(place)
            on_place(place, hidden if prompt is None else prompt.real_tokens(hidden))

        if prompt is not None:
            inputs = prompt.extended(self.backbone, inputs)
        with (
            capture_hidden_states(
                self.blocks, layers, lambda layer, hidden: pass_on(SiteLayer(RESID_POST, layer), hidden), taps, pass_on
            ),
            self._attention.used(),
        ):
            output = self.backbone(**inputs, **self._no_cache)
        missing = [place for place in (*places_of(layers, {}), *(taps or ())) if place not in seen]
        if missing:
            what = f"block {missing[0].layer}" if missing[0].site == RESID_POST else missing[0].words
            raise ModelError(f"{what} of {type(self.backbone).__name__} was not run in the forward pass")
        return output

    def _auto_budget(self, memory_cap_bytes: int | None) -> int:
        config = getattr(self.backbone, "config", None)
        itemsize = next(self.backbone.parameters()).element_size()
        # Rows of tokens wait in float32, hidden states in the model's own type. Models whose sinks are known hold none, but
        # take the same batches as the base model: equal models then give equal bits.
        kept = {"tokens": 4, SINK_POOLING: itemsize}.get(self.pooling, 0)
        captured = self._tensors * (width_of(config) or 0) * kept
        return auto_token_budget(
            config, itemsize=itemsize, captured_bytes_per_token=captured, cap_bytes=memory_cap_bytes
        )
