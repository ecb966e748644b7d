"""A model whose blocks take no memory until they are loaded from the checkpoint, one at a time."""

from __future__ import annotations

import copy
import ctypes
import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from repdrift.core.errors import ModelError
from repdrift.models.backbone import Stack, backbone_of, encoder_decoder_of
from repdrift.models.block_search import find_blocks
from repdrift.models.blocks import Blocks
from repdrift.models.checkpoint import DTYPES, USE_SAMPLE_MAJOR, stored_tensors
from repdrift.models.checkpoint_weights import CheckpointWeights
from repdrift.models.configuration import load_config
from repdrift.models.full_attention import FULL, SPARSE
from repdrift.models.lazy_adapter import LazyAdapter
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import loader_errors, quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LARGE = 1 << 14  # numbers in a tensor that can only be a weight


@dataclass(frozen=True)
class _OutsideModule:
    """A module outside the blocks, and the names of the weights that it owns itself."""

    module: nn.Module
    names: tuple[str, ...]


class LazyModel:
    """A model on the meta device, with its buffers; `block` and `load_outside_blocks` load weights.

    model: the architecture without task head. runner: the part of it that is run (the encoder of an encoder-decoder), to be
    called as `runner(input_ids=..., attention_mask=...)`.
    """

    def __init__(
        self, model: PreTrainedModel, blocks: Blocks, weights: CheckpointWeights, device: torch.device
    ) -> None:
        self.model = model
        self.blocks = blocks
        self.device = device
        self.runner = blocks.root
        self._weights = weights
        self._adapter: LazyAdapter | None = None
        self._own_names = list(model.state_dict())
        names = _names_in(model)
        self._block_paths = [names[module] for module in blocks.modules]
        self._loaded: nn.Module | None = None
        self._hooked = False
        self._pending = self._outside_modules()
        _move_buffers(model, device)

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return len(self.blocks)

    def require_blocks(self, layers: Sequence[int]) -> None:
        """Raises MissingWeightsError if the checkpoint lacks a weight of any of the blocks `layers`."""
        for layer in layers:
            self._weights.require(self._names_of(layer))

    def attach(self, source: ModelSource) -> None:
        """Put the LoRA adapter in `source` on the model, active and unmerged.

        Raises ModelError if the adapter is no plain LoRA, or belongs to another model.
        """
        self._adapter = LazyAdapter(self.model, _blocks_path(self.model, self.blocks), source)

    def load_outside_blocks(self) -> None:
        """Load the weights outside the blocks: embeddings and norms now, those of other modules when they are first called.

        So a decoder, a vision tower or a pooler takes no memory if text never reaches it.
        Raises ModelError if a weight is missing, has another shape, or cannot be read.
        """
        if self._hooked:
            return
        self._hooked = True
        eager = self._eager_modules()
        for outside in [o for o in self._pending.values() if o.module in eager]:
            self._fill(outside)
        for outside in self._pending.values():
            outside.module.register_forward_pre_hook(self._fill_when_called)

    @contextmanager
    def block(self, layer: int) -> Iterator[nn.Module]:
        """Gives block `layer` with its weights; they are freed when the `with` block is left.

        Raises ModelError if a weight is missing, has another shape, or cannot be read.
        """
        module = self.blocks.modules[layer]
        try:
            if self._loaded is not module:
                self._fill_block(layer)
                self._loaded = module
            yield module
        finally:
            if not self._runs_again_next(layer):
                _free(module)
                self._loaded = None
                _trim_heap()

    def _fill_block(self, layer: int) -> None:
        for name, tensor in self._weights.load(self._names_of(layer), device=self.device).items():
            _assign(self.model, name, tensor)
        if self._adapter is not None:
            self._adapter.fill(self._block_paths[layer], self.device)

    def _names_of(self, layer: int) -> list[str]:
        prefix = f"{self._block_paths[layer]}."
        return [name for name in self._own_names if name.startswith(prefix)]

    def _runs_again_next(self, layer: int) -> bool:
        # ALBERT's blocks are one module, which is not to be loaded again for every layer.
        following = self.blocks.modules[layer + 1 : layer + 2]
        return bool(following) and following[0] is self.blocks.modules[layer]

    def _outside_modules(self) -> dict[nn.Module, _OutsideModule]:
        inside = {m for block in self.blocks.modules for m in block.modules()}
        reached = set(self.runner.modules()) - inside
        found: dict[nn.Module, _OutsideModule] = {}
        persistent = set(self._own_names)
        for path, module in self.model.named_modules():
            own = [*module._parameters, *module._buffers]
            names = [f"{path}.{name}" if path else name for name in own]
            wanted = tuple(name for name in names if name in persistent)
            if module in reached and wanted:
                found[module] = _OutsideModule(module, wanted)
        return found

    def _eager_modules(self) -> set[nn.Module]:
        """The modules around the list of blocks, and their children that have no parts: embeddings and norms.

        They are loaded at once, since some models read `self.embeddings.weight` without calling that module.
        """
        parts = _blocks_path(self.model, self.blocks).split(".")
        holders = [self.model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]
        leaves = [child for holder in holders for child in holder.children() if not list(child.children())]
        return {*holders, *leaves}

    def _fill_when_called(self, module: nn.Module, _inputs: Any) -> None:
        if module in self._pending:
            self._fill(self._pending[module])

    def _fill(self, outside: _OutsideModule) -> None:
        ignored = self.model._keys_to_ignore_on_load_missing or ()
        wanted = [n for n in outside.names if self._weights.has(n) or not any(re.search(p, n) for p in ignored)]
        for name, tensor in self._weights.load(wanted, device=self.device).items():
            _assign(self.model, name, tensor)
        if self._adapter is not None:
            self._adapter.fill_module(outside.module, self.device)
        del self._pending[outside.module]


def load_lazy_model(
    source: ModelSource,
    *,
    dtype: str = "float32",
    blocks: str | None = None,
    stack: Stack | None = None,
    adapter: ModelSource | None = None,
    device: torch.device | str | None = None,
) -> LazyModel:
    """Builds the model in `source` without loading its weights; only file headers and the configuration are read.

    dtype: one of `DTYPES`. blocks: the name of the list of blocks, and stack: the half of an encoder-decoder, as for
    `find_blocks`. adapter: a LoRA adapter to put on the model. device: for the weights that are loaded later; None means
    the CPU.
    Raises ModelError if the source is a GGUF file or a quantised checkpoint, the decoder of an encoder-decoder model is
    asked for, the adapter is no plain LoRA, or a file cannot be read.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    tensors = stored_tensors(source)
    model = _empty_model(source, DTYPES[dtype])
    if stack == "decoder" and encoder_decoder_of(model) is not None:
        raise ModelError(
            f"the decoder of {type(model).__name__} reads its encoder's output, and block by block only the encoder is run. "
            f"{USE_SAMPLE_MAJOR}."
        )
    found = find_blocks(backbone_of(model, stack=stack), path=blocks, stack=stack)
    names = _names_in(model)
    inside = tuple(f"{names[module]}." for module in found.modules)
    needed = [name for name in model.state_dict() if name.startswith(inside)]
    weights = CheckpointWeights(copy.deepcopy(model), tensors, needed=needed, where=str(source.path))
    lazy_model = LazyModel(model, found, weights, torch.device(device or "cpu"))
    if adapter is not None:
        lazy_model.attach(adapter)
    return lazy_model


def _empty_model(source: ModelSource, dtype: torch.dtype) -> PreTrainedModel:
    from accelerate import init_empty_weights
    from transformers import AutoModel

    config = load_config(source)
    if getattr(config, "attention_type", None) == SPARSE:
        config.attention_type = FULL
    if getattr(config, "quantization_config", None):
        raise ModelError(
            f"{source.path} is quantised, and quantised weights are not read block by block. {USE_SAMPLE_MAJOR}."
        )
    with (
        loader_errors(f"cannot build the model of {source.path} from its configuration"),
        quiet_transformers(),
        init_empty_weights(include_buffers=False),
        _LargeEmptyOnMeta(),
    ):
        model = AutoModel.from_config(config, dtype=dtype, trust_remote_code=False)
    unmade = [name for name, buffer in model.named_buffers() if buffer.is_meta and name not in model.state_dict()]
    if unmade:
        raise ModelError(
            f"{type(model).__name__} makes its buffer {unmade[0]} in the way of weights, so it has no value here, and no file "
            f"holds it. {USE_SAMPLE_MAJOR}."
        )
    return model.eval().requires_grad_(False)


class _LargeEmptyOnMeta(TorchFunctionMode):
    """Makes `torch.empty` of many numbers take no memory; only weights are made with it.

    accelerate moves each weight off the CPU once it is made, but the allocator may keep the room of many of them.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty and kwargs.get("device") is None:
            sizes = args if not args or isinstance(args[0], int) else args[0]
            if math.prod(sizes) >= _LARGE:
                kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def _names_in(model: nn.Module) -> dict[nn.Module, str]:
    return {module: name for name, module in model.named_modules()}


def _blocks_path(model: nn.Module, blocks: Blocks) -> str:
    """Returns the name of the list of blocks inside `model`, of which the module that is run may be a part."""
    return f"{_names_in(model)[blocks.root]}.{blocks.path}".lstrip(".")


def _assign(model: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, own = name.rpartition(".")
    module: Any = model.get_submodule(path)
    while own not in module._parameters and own not in module._buffers:
        module = module.base_layer  # a LoRA layer put around it
    if own in module._buffers:
        module._buffers[own] = tensor
    else:
        module._parameters[own] = nn.Parameter(tensor, requires_grad=False)


def _free(block: nn.Module) -> None:
    for module in block.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)


def _trim_heap() -> None:
    """Return the allocator's free memory to the system, if the allocator is glibc's.

    Otherwise the gaps that activations of many sizes leave add up (measured: 80 MB over 24 blocks of 25 MB).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _move_buffers(model: nn.Module, device: torch.device) -> None:
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
