"""Sample-major extraction: batches flow through the whole model, and each block's output is pooled as it appears."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import DataError, ModelError, StorageError
from repdrift.core.progress import Bar, say
from repdrift.core.records.representation_set import Pooling
from repdrift.extraction.batching import Batch, BatchPlan, sample_set_of
from repdrift.extraction.block_hooks import capture_hidden_states
from repdrift.extraction.memory_budget import auto_token_budget, available_memory_bytes, is_out_of_memory
from repdrift.extraction.pooling import Pool, pool_for_batch
from repdrift.extraction.row_index import RowIndex
from repdrift.models import DTYPES, Stack, backbone_of, decoder_inputs, find_blocks
from repdrift.tasks import SampleSet

OnBlock = Callable[[int, Tensor, Pool], None]

_WINDOW_BYTES = 2 << 30
"""Of `tokens`, over all layers: rows complete in about the order of the file, so that it is hashed from the page cache."""


@dataclass(frozen=True)
class PooledBatch:
    """Representations of one batch.

    number: the batch's number in its plan. rows: (m,), the rows of the whole set that this batch fills.
    layers: by layer number, (m, d) in the extractor's `dtype`, on the CPU.
    """

    number: int
    rows: Tensor
    layers: dict[int, Tensor]


class RepresentationExtractor:
    """Layer-wise representations of one model over a sample set.

    model: any transformers model, with or without task head; it is put into evaluation mode and left where it is.
    layers: block numbers, None for all. pooling: see METHODS. dtype: of what is returned; pooling itself is in float32.
    token_budget: tokens of one batch, padding included; None: chosen so that a batch's activations stay under
    `memory_cap_bytes`. It does not change the result beyond noise; when memory runs out the batches are halved.
    blocks: the name of the module list that holds the blocks, where it is not found by itself.
    stack: `encoder` (None) or `decoder`, of a model that has both; the decoder reads the same text, shifted by one.
    Raises ModelError, UnknownNameError (layer), at construction: before any time is spent.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        layers: list[int] | None = None,
        pooling: Pooling = "mean",
        dtype: str = "float32",
        token_budget: int | None = None,
        memory_cap_bytes: int | None = None,
        blocks: str | None = None,
        stack: Stack | None = None,
    ) -> None:
        self.backbone = backbone_of(model, stack=stack).eval()
        self.blocks = find_blocks(self.backbone, path=blocks, stack=stack)
        self.layers = self.blocks.select(layers, model_name=type(self.backbone).__name__)
        if not self.layers:
            raise ModelError("no layer was asked for")
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if token_budget is not None and token_budget < 1:
            raise DataError(f"the token budget must be at least 1, got {token_budget}")
        self.pooling: Pooling = pooling
        self.dtype = dtype
        self.token_budget = token_budget or self._auto_budget(memory_cap_bytes)
        self._stack = stack
        self._most_tokens: int | None = None
        parameters = inspect.signature(self.backbone.forward).parameters
        self._takes_token_types = "token_type_ids" in parameters
        self._no_cache = {"use_cache": False} if "use_cache" in parameters else {}

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.backbone.parameters()).device

    def plan(self, samples: SampleSet) -> BatchPlan:
        """The batches of `samples`. Raises DataError if one is longer than the model's maximum."""
        require_lengths_fit(samples, getattr(self.backbone, "config", None))
        window = None
        if self.pooling == "tokens":
            width = getattr(getattr(self.backbone, "config", None), "hidden_size", None) or 1024
            window = max(1, _WINDOW_BYTES // (len(self.layers) * width * DTYPES[self.dtype].itemsize))
        return BatchPlan(samples, token_budget=self.token_budget, window_tokens=window)

    def extract(self, samples: SampleSet | Mapping[str, Tensor], *, what: str = "extracting") -> dict[int, Tensor]:
        """Representations by layer number: (n, d) each, in the order of the samples.

        samples: a sample set, or tensors of token ids (see `extract`). what: a few words for the progress bar.
        With pooling `tokens`, n is the number of real tokens; otherwise it is the number of samples.
        Raises NonFiniteError naming layer and sample; DataError if a sample is longer than the model's maximum;
        StorageError if the representations do not fit into memory.
        """
        sample_set = samples if isinstance(samples, SampleSet) else sample_set_of(samples)
        n_rows = RowIndex(sample_set, self.pooling).n_rows
        found: dict[int, Tensor] = {}
        for batch in self.batches(self.plan(sample_set), what=what):
            if not found:
                width = next(iter(batch.layers.values())).shape[1]
                _require_memory(n_rows, width, DTYPES[self.dtype], len(self.layers))
                found = {
                    layer: torch.empty((n_rows, values.shape[1]), dtype=values.dtype)
                    for layer, values in batch.layers.items()
                }
            for layer, values in batch.layers.items():
                found[layer][batch.rows] = values
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
                for layer, values in pooled.items():
                    index.require_finite(values, layer, rows, dtype)
                yield PooledBatch(number, rows, {layer: values.to(dtype) for layer, values in pooled.items()})
                bar.advance(len(batch.sample_indices))

    def forward(self, batch: Batch, on_block: OnBlock) -> None:
        """Run one batch; `on_block(layer, hidden, pool)` gets each chosen block's output (b, t, d), on the model's device.

        The hidden state is the model's own: whoever keeps it beyond the call copies it. Batches that memory does not
        hold are run in parts, so that on_block can be called several times for a layer; samples keep their order.
        """
        for part in self._parts(batch):
            try:
                with torch.inference_mode():
                    self._forward_part(part, on_block)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                tokens = part.inputs["attention_mask"].numel()
                raise ModelError(
                    f"memory does not suffice for a batch of {tokens} tokens: give a smaller --memory-cap (memory_cap_bytes). "
                    f"The system said: {error}"
                ) from error

    def _pooled(self, batch: Batch) -> dict[int, Tensor]:
        """All chosen layers of one batch on the CPU in float32, in parts where memory ran out."""
        parts = [self._pooled_part(part) for part in self._parts(batch)]
        return parts[0] if len(parts) == 1 else {layer: torch.cat([p[layer] for p in parts]) for layer in self.layers}

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        waiting = [batch]
        while waiting:
            part = waiting.pop(0)
            if self._most_tokens is not None and len(smaller := part.split(self._most_tokens)) > 1:
                waiting = [*smaller, *waiting]
                continue
            yield part

    def _pooled_part(self, batch: Batch) -> dict[int, Tensor]:
        try:
            return self._captured(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            width = int(batch.inputs["attention_mask"].shape[1])
            if len(batch.sample_indices) == 1:
                raise ModelError(
                    f"memory does not suffice for one sample of {width} tokens: give a smaller --max-length, or extract block by "
                    f"block (`repdrift extract --schedule layer`). The system said: {error}"
                ) from error
        # Out of the handler, so that the failed attempt's tensors are free before the next.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._most_tokens = max(1, len(batch.sample_indices) // 2) * width
        say(f"out of memory at {len(batch.sample_indices)} samples of {width} tokens: going on with half of it")
        halves = [self._pooled_part(part) for part in batch.split(self._most_tokens)]
        return {layer: torch.cat([half[layer] for half in halves]) for layer in self.layers}

    def _captured(self, batch: Batch) -> dict[int, Tensor]:
        found: dict[int, Tensor] = {}

        def keep(layer: int, hidden: Tensor, pool: Pool) -> None:
            found[layer] = _owned(pool.fast(hidden), hidden)

        with torch.inference_mode():
            self._forward_part(batch, keep)
            on_cpu = _to_cpu(found)
            if not all(bool(torch.isfinite(rows).all()) for rows in on_cpu.values()):
                # What stands on padding may be NaN, and 0 x NaN is NaN: once more, with the padding taken out.
                self._forward_part(
                    batch, lambda layer, hidden, pool: found.update({layer: _owned(pool.careful(hidden), hidden)})
                )
                on_cpu = _to_cpu(found)
        return on_cpu

    def _forward_part(self, batch: Batch, on_block: OnBlock) -> None:
        inputs: dict[str, Any] = {name: tensor.to(self.device) for name, tensor in batch.inputs.items()}
        pool = pool_for_batch(self.pooling, inputs["attention_mask"])
        if not self._takes_token_types:
            inputs.pop("token_type_ids", None)
        if self._stack == "decoder":
            inputs |= decoder_inputs(self.backbone, inputs["input_ids"], inputs["attention_mask"])
        seen: set[int] = set()

        def on_hidden_state(layer: int, hidden: Tensor) -> None:
            seen.add(layer)
            on_block(layer, hidden, pool)

        with capture_hidden_states(self.blocks, self.layers, on_hidden_state):
            self.backbone(**inputs, **self._no_cache)
        missing = [layer for layer in self.layers if layer not in seen]
        if missing:
            raise ModelError(f"block {missing[0]} of {type(self.backbone).__name__} was not run in the forward pass")

    def _auto_budget(self, memory_cap_bytes: int | None) -> int:
        config = getattr(self.backbone, "config", None)
        if config is not None and hasattr(config, "get_text_config"):
            config = config.get_text_config()
        width = getattr(config, "hidden_size", None) or 0
        captured = len(self.layers) * width * 4 if self.pooling == "tokens" else 0
        itemsize = next(self.backbone.parameters()).element_size()
        return auto_token_budget(
            config, itemsize=itemsize, captured_bytes_per_token=captured, cap_bytes=memory_cap_bytes
        )


def extract(
    model: nn.Module,
    inputs: SampleSet | Mapping[str, Tensor],
    pooling: Pooling = "mean",
    layers: list[int] | None = None,
    *,
    dtype: str = "float32",
    token_budget: int | None = None,
    memory_cap_bytes: int | None = None,
    blocks: str | None = None,
    stack: Stack | None = None,
) -> dict[str, Tensor]:
    """Layer-wise representations of `model` over `inputs`, by name: {"layer_0": (n, d), "layer_1": ...}.

    inputs: a sample set, or `input_ids` and `attention_mask` of shape (n, t), padded on either side. Other arguments and
    errors as in `RepresentationExtractor`; also ShapeError for inputs that are not of that shape.
    """
    extractor = RepresentationExtractor(
        model,
        layers=layers,
        pooling=pooling,
        dtype=dtype,
        token_budget=token_budget,
        memory_cap_bytes=memory_cap_bytes,
        blocks=blocks,
        stack=stack,
    )
    return {f"layer_{layer}": tensor for layer, tensor in extractor.extract(inputs).items()}


def require_lengths_fit(samples: SampleSet, config: Any) -> None:
    """Raises DataError naming the longest sample if it is longer than the model's maximum."""
    limit = getattr(config, "max_position_embeddings", None)
    lengths = samples.lengths
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if isinstance(limit, int) and 0 < limit < lengths[longest]:
        raise DataError(
            f"sample {samples.sample_ids[longest]!r} has {lengths[longest]} tokens, the model takes {limit}. "
            "Give a smaller max_length."
        )


def _owned(pooled: Tensor, hidden: Tensor) -> Tensor:
    """`pooled`, copied if it is a view of the hidden state, which the model may go on to change in place."""
    shares = pooled.untyped_storage().data_ptr() == hidden.untyped_storage().data_ptr()
    return pooled.clone() if shares else pooled


def _to_cpu(found: dict[int, Tensor]) -> dict[int, Tensor]:
    """On a device all layers in one transfer, so that the pass waits once and not once a layer."""
    rows = list(found.values())
    if all(r.device.type == "cpu" for r in rows) or len({r.shape for r in rows}) > 1:
        return {layer: tensor.cpu() for layer, tensor in found.items()}
    return dict(zip(found, torch.stack(rows).cpu().unbind(0), strict=True))


def _require_memory(rows: int, features: int, dtype: torch.dtype, layers: int) -> None:
    """Raises StorageError, with the arithmetic, if the layers together cannot fit into free memory."""
    needed = rows * features * dtype.itemsize * layers
    available = available_memory_bytes()
    if available is not None and needed > available:
        raise StorageError(
            f"{layers} layers x {rows} rows x {features} features in {dtype} take {needed / 1e9:.1f} GB; "
            f"{available / 1e9:.1f} GB of memory are free. Write them to files with `repdrift extract`, or take fewer layers, "
            "fewer samples, or pooled representations."
        )
