"""Sample-major extraction: batches flow through the whole model, and each block's output is pooled as it appears."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from repdrift.core.errors import DataError, ModelError, NonFiniteError, StorageError
from repdrift.core.progress import Bar
from repdrift.core.records.representation_set import Pooling
from repdrift.extraction.batching import Batch, length_sorted_batches, sample_set_of
from repdrift.extraction.capture import capture_blocks
from repdrift.extraction.pooling import pool_for_batch
from repdrift.models import DTYPES, backbone_of, find_blocks
from repdrift.tasks import SampleSet

DEFAULT_TOKEN_BUDGET = 4096
OnLayer = Callable[[int, Tensor], None]


class RepresentationExtractor:
    """Layer-wise representations of one model over a sample set.

    model: any transformers model, with or without task head; it is put into evaluation mode and left where it is.
    layers: block numbers, None for all. pooling: see METHODS. dtype: of what is returned; pooling itself is in float32.
    token_budget: tokens of one batch, padding included; it bounds memory and does not change the result beyond noise.
    blocks: the name of the module list that holds the blocks, where it is not found by itself.
    Raises ModelError, UnknownNameError (layer), at construction: before any time is spent.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        layers: list[int] | None = None,
        pooling: Pooling = "mean",
        dtype: str = "float32",
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        blocks: str | None = None,
    ) -> None:
        self.backbone = backbone_of(model).eval()
        self.blocks = find_blocks(self.backbone, path=blocks)
        self.layers = self.blocks.select(layers, model_name=type(self.backbone).__name__)
        if not self.layers:
            raise ModelError("no layer was asked for")
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
        if token_budget < 1:
            raise DataError(f"the token budget must be at least 1, got {token_budget}")
        self.pooling: Pooling = pooling
        self.dtype = dtype
        self.token_budget = token_budget
        parameters = inspect.signature(self.backbone.forward).parameters
        self._takes_token_types = "token_type_ids" in parameters
        self._no_cache = {"use_cache": False} if "use_cache" in parameters else {}

    def extract(self, samples: SampleSet | Mapping[str, Tensor], *, what: str = "extracting") -> dict[int, Tensor]:
        """Representations by layer number: (n, d) each, or (real tokens, d) for pooling `tokens`, in the samples' order.

        Raises NonFiniteError naming layer and sample; DataError if a sample is longer than the model's maximum.
        """
        found: dict[int, Tensor] = {}
        self.run(samples, found.__setitem__, what=what)
        return found

    def run(self, samples: SampleSet | Mapping[str, Tensor], on_layer: OnLayer, *, what: str = "extracting") -> None:
        """Extract, and give each layer's tensor to `on_layer(layer, tensor)` once; it is then freed here."""
        sample_set = samples if isinstance(samples, SampleSet) else sample_set_of(samples)
        self._require_lengths_fit(sample_set)
        places = _Places(sample_set, self.pooling)
        store: dict[int, Tensor] = {}
        captured: dict[int, Tensor] = {}
        with Bar(what, len(sample_set)) as bar, torch.inference_mode():
            for batch in length_sorted_batches(sample_set, token_budget=self.token_budget):
                self._forward(batch, captured)
                missing = [layer for layer in self.layers if layer not in captured]
                if missing:
                    raise ModelError(
                        f"block {missing[0]} of {type(self.backbone).__name__} was not run in the forward pass"
                    )
                where = places.of(batch.rows)
                for layer in self.layers:
                    pooled = captured.pop(layer)
                    if not store:
                        places.require_memory(pooled.shape[1], DTYPES[self.dtype], len(self.layers))
                    if layer not in store:
                        store[layer] = torch.empty((places.total, pooled.shape[1]), dtype=DTYPES[self.dtype])
                    self._require_finite(pooled, layer, where, places, sample_set)
                    store[layer][where] = pooled.to(DTYPES[self.dtype])
                bar.advance(len(batch.rows))
        for layer in self.layers:
            on_layer(layer, store.pop(layer))

    def _forward(self, batch: Batch, captured: dict[int, Tensor]) -> None:
        device = next(self.backbone.parameters()).device
        inputs = {name: tensor.to(device) for name, tensor in batch.inputs.items()}
        if not self._takes_token_types:
            inputs.pop("token_type_ids", None)
        pool = pool_for_batch(self.pooling, inputs["attention_mask"])

        def keep(layer: int, hidden: Tensor) -> None:
            captured[layer] = pool(hidden).cpu()

        with capture_blocks(self.blocks.modules, self.layers, keep):
            self.backbone(**inputs, **self._no_cache)

    def _require_finite(
        self, pooled: Tensor, layer: int, where: Tensor, places: _Places, sample_set: SampleSet
    ) -> None:
        finite = torch.isfinite(pooled.to(DTYPES[self.dtype])).all(dim=1)
        if bool(finite.all()):
            return
        sample = places.sample_of(int(where[int((~finite).nonzero()[0])]))
        cause = (
            "" if not bool(torch.isfinite(pooled).all()) else f" (too large for {self.dtype}: take float32 or bfloat16)"
        )
        raise NonFiniteError(
            f"layer {layer}, sample {sample_set.sample_ids[sample]!r} (number {sample}) of task {sample_set.task!r}: "
            f"NaN or Inf in the representation{cause}"
        )

    def _require_lengths_fit(self, sample_set: SampleSet) -> None:
        limit = getattr(self.backbone.config, "max_position_embeddings", None)
        longest = max(range(len(sample_set)), key=sample_set.lengths.__getitem__)
        if isinstance(limit, int) and 0 < limit < sample_set.lengths[longest]:
            raise DataError(
                f"sample {sample_set.sample_ids[longest]!r} has {sample_set.lengths[longest]} tokens, the model takes {limit}. "
                "Give a smaller max_length."
            )


class _Places:
    """Which rows of a layer's tensor belong to which samples."""

    def __init__(self, samples: SampleSet, pooling: Pooling) -> None:
        self.per_token = pooling == "tokens"
        lengths = samples.lengths if self.per_token else [1] * len(samples)
        self._ends = torch.tensor(lengths).cumsum(0)
        self._lengths = lengths
        self.total = int(self._ends[-1])

    def of(self, rows: list[int]) -> Tensor:
        """Row numbers of the given samples, in their order."""
        if not self.per_token:
            return torch.tensor(rows)
        return torch.cat([torch.arange(int(self._ends[r]) - self._lengths[r], int(self._ends[r])) for r in rows])

    def sample_of(self, place: int) -> int:
        """The sample that a row number belongs to."""
        return int(torch.searchsorted(self._ends, place, right=True))

    def require_memory(self, features: int, dtype: torch.dtype, layers: int) -> None:
        """Raises StorageError, with the arithmetic, if the layers together cannot fit into free memory."""
        needed = self.total * features * dtype.itemsize * layers
        available = _available_memory_bytes()
        if available is not None and needed > available:
            raise StorageError(
                f"{layers} layers x {self.total} rows x {features} features in {dtype} take {needed / 1e9:.1f} GB; "
                f"{available / 1e9:.1f} GB of memory are free. Extract fewer layers at a time (--layers), fewer samples, "
                "or pooled representations."
            )


def _available_memory_bytes() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:  # noqa: PTH123
            fields = dict(line.split(":") for line in stream)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None  # not Linux: the operating system will tell


def extract(
    model: nn.Module,
    inputs: SampleSet | Mapping[str, Tensor],
    pooling: Pooling = "mean",
    layers: list[int] | None = None,
    *,
    dtype: str = "float32",
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    blocks: str | None = None,
) -> dict[str, Tensor]:
    """Layer-wise representations of `model` over `inputs`, by name: {"layer_0": (n, d), "layer_1": ...}.

    inputs: a sample set, or `input_ids` and `attention_mask` of shape (n, t), padded on either side.
    """
    extractor = RepresentationExtractor(
        model, layers=layers, pooling=pooling, dtype=dtype, token_budget=token_budget, blocks=blocks
    )
    return {f"layer_{layer}": tensor for layer, tensor in extractor.extract(inputs).items()}
