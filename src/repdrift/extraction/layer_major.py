"""Layer-major extraction: one block's weights at a time, all samples through it, for models larger than memory.

Memory: the embeddings, one block, and the hidden states of all samples after one layer (in a file beyond a cap), however
deep the model is. Time: the embeddings and masks are computed again for every layer and batch, and each weight is read once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.extraction.activation_store import ActivationStore
from repdrift.extraction.batching import Batch
from repdrift.extraction.single_block import BlockState, SingleBlockRunner
from repdrift.models.backbone import Stack
from repdrift.models.lazy_model import LazyModel, load_lazy_model
from repdrift.models.model_files import ModelSource

DEFAULT_ACTIVATION_CAP_BYTES = 1 << 30

OnHiddenState = Callable[[int, int, Batch, Tensor], None]
OnLayerDone = Callable[[int], None]


@dataclass(frozen=True)
class LayerMajorRun:
    """What was run: the layers handed out, the model's depth and width, and the most bytes of activations kept, and where."""

    layers: list[int]
    depth: int
    width: int
    memory_bytes: int
    file_bytes: int


def run_layer_major(
    source: ModelSource | LazyModel,
    batches: Sequence[Batch],
    *,
    on_hidden_state: OnHiddenState,
    on_layer_done: OnLayerDone | None = None,
    layers: list[int] | None = None,
    dtype: str = "float32",
    blocks: str | None = None,
    stack: Stack | None = None,
    device: torch.device | str | None = None,
    adapter: ModelSource | None = None,
    activation_cap_bytes: int = DEFAULT_ACTIVATION_CAP_BYTES,
    scratch_dir: Path | None = None,
) -> LayerMajorRun:
    """Run all `batches` through the model block by block, up to the deepest layer asked for.

    source: a checkpoint, or what `load_lazy_model` made of it (then dtype, blocks, stack, device and adapter are its own).
    batches: iterated once a layer, in the same order each time. layers: block numbers, None for all.
    on_hidden_state: called as (layer, place of the batch in `batches`, batch, hidden (b, t, d)), with the tensor on the
    model's device and only during the call. on_layer_done: called as (layer) after a layer's last batch.
    activation_cap_bytes: hidden states held in memory at most; more go to a file in `scratch_dir`.
    Raises ModelError before anything is run if a weight of those blocks is missing or the architecture does not allow it;
    UnknownNameError for a layer that is not there; StorageError if the scratch file cannot be written.
    """
    lazy_model = (
        source
        if isinstance(source, LazyModel)
        else load_lazy_model(source, dtype=dtype, blocks=blocks, stack=stack, adapter=adapter, device=device)
    )
    chosen = lazy_model.blocks.select(layers, model_name=type(lazy_model.model).__name__)
    if not chosen or not len(batches):
        raise ModelError("no layer was asked for" if not chosen else "there are no batches to run")
    lazy_model.require_blocks(range(chosen[-1] + 1))
    lazy_model.load_outside_blocks()
    relay = SingleBlockRunner(lazy_model.blocks)
    width = 0
    with ActivationStore(activation_cap_bytes, scratch_dir) as store:
        states = _States(store, lazy_model.device)
        for layer in range(chosen[-1] + 1):
            with torch.inference_mode(), lazy_model.block(layer), relay.at(layer) as run:
                for place, batch in enumerate(batches):
                    before = states.get(place) if layer else None
                    after = run(_inputs(lazy_model, batch), before)
                    if layer < chosen[-1]:
                        states.put(place, after, before)
                    if layer in chosen:
                        hidden = relay.hidden_state(after, batch.inputs["attention_mask"].shape)
                        on_hidden_state(layer, place, batch, hidden)
                        width = hidden.shape[2]
            if layer in chosen and on_layer_done is not None:
                on_layer_done(layer)
        return LayerMajorRun(chosen, lazy_model.depth, width, store.memory_bytes, store.file_bytes)


class _States:
    """Each batch's state after the last layer that was run."""

    def __init__(self, store: ActivationStore, device: torch.device) -> None:
        self._store = store
        self._device = device
        self._tails: dict[int, tuple[Any, ...] | None] = {}
        self._shared: dict[tuple[int, torch.Size], _Kept] = {}

    def get(self, place: int) -> BlockState:
        tail = self._tails[place]
        if tail is not None:
            tail = tuple(self._store.get(p.slot).to(self._device) if isinstance(p, _Kept) else p for p in tail)
        return BlockState(self._store.get((place, "hidden")).to(self._device), tail)

    def put(self, place: int, after: BlockState, before: BlockState | None) -> None:
        self._store.put((place, "hidden"), after.hidden)
        if after.tail is None:
            self._tails[place] = None
            return
        given = () if before is None else before.tail or ()
        kept = self._tails.get(place) or ()
        self._tails[place] = tuple(
            # T5's blocks hand on the very tensor that they were given.
            kept[number] if number < len(given) and part is given[number] else self._keep(place, number, part)
            for number, part in enumerate(after.tail)
        )

    def _keep(self, place: int, number: int, part: Any) -> Any:
        if not isinstance(part, Tensor):
            return part
        # What depends on the batch's length alone (a position bias) is kept once for all batches of that length.
        shared = self._shared.get((number, part.shape))
        if shared is not None and torch.equal(self._store.get(shared.slot), part.cpu()):
            return shared
        kept = _Kept((place, number)) if place in self._tails else _Kept((place, f"first {number}"))
        self._store.put(kept.slot, part)
        if place not in self._tails:
            self._shared.setdefault((number, part.shape), kept)
        return kept


@dataclass(frozen=True)
class _Kept:
    slot: tuple[int, int | str]


def _inputs(lazy_model: LazyModel, batch: Batch) -> Mapping[str, Any]:
    parameters = inspect.signature(lazy_model.runner.forward).parameters
    inputs: dict[str, Any] = {name: tensor.to(lazy_model.device) for name, tensor in batch.inputs.items()}
    if "token_type_ids" not in parameters:
        inputs.pop("token_type_ids", None)
    return {**inputs, "use_cache": False} if "use_cache" in parameters else inputs
