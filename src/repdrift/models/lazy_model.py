"""A model whose blocks have no memory until they are loaded, one at a time, from the checkpoint."""

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
from repdrift.models.checkpoint import stored_tensors
from repdrift.models.checkpoint_weights import CheckpointWeights
from repdrift.models.lazy_adapter import LazyAdapter
from repdrift.models.loading import DTYPES, quiet_transformers
from repdrift.models.model_files import ModelSource

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LARGE = 1 << 14


@dataclass(frozen=True)
class _Resident:
    """Weights outside the blocks: `names` of the parameters that one module owns itself."""

    module: nn.Module
    names: tuple[str, ...]


class LazyModel:
    """The structure of a model, its buffers, and the weights outside its blocks; blocks are loaded by `block`.

    model: the architecture without task head. runner: the part of it that is run (an encoder-decoder's encoder), to be
    called as `runner(input_ids=..., attention_mask=...)`.
    """

    def __init__(self, model: PreTrainedModel, blocks: Blocks, plan: CheckpointWeights, device: torch.device) -> None:
        self.model = model
        self.blocks = blocks
        self.device = device
        self.runner = blocks.root
        self._plan = plan
        self._adapter: LazyAdapter | None = None
        self._own_names = list(model.state_dict())
        names = _names_in(model)
        self._block_paths = [names[module] for module in blocks.modules]
        self._loaded: nn.Module | None = None
        self._hooked = False
        self._pending = self._resident_modules()
        _move_buffers(model, device)

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return len(self.blocks)

    def require_blocks(self, layers: Sequence[int]) -> None:
        """Raises MissingWeightsError if the checkpoint lacks a weight of any of the blocks `layers`."""
        for layer in layers:
            self._plan.require(self._names_of(layer))

    def attach(self, source: ModelSource) -> None:
        """Put the LoRA adapter in `source` on the blocks, active and unmerged. Raises ModelError if it is of another kind."""
        self._adapter = LazyAdapter(self.model, _blocks_path(self.model, self.blocks), source)

    def load_outside_blocks(self) -> None:
        """Load what the forward pass certainly uses outside the blocks; the rest when a module is first called.

        So a decoder, a vision tower or a pooler that text never reaches takes no memory.
        """
        if self._hooked:
            return
        self._hooked = True
        eager = self._eager_modules()
        for resident in [r for r in self._pending.values() if r.module in eager]:
            self._fill(resident)
        for resident in self._pending.values():
            resident.module.register_forward_pre_hook(self._fill_when_called)

    @contextmanager
    def block(self, layer: int) -> Iterator[nn.Module]:
        """Block `layer` with its weights inside the `with` block, freed on leaving.

        Raises ModelError if a weight is missing, has another shape, or cannot be read.
        """
        module = self.blocks.modules[layer]
        try:
            if self._loaded is not module:
                self._fill_block(layer)
                self._loaded = module
            yield module
        finally:
            if self._freed_after(layer):
                _free(module)
                self._loaded = None
                _trim_heap()

    def _fill_block(self, layer: int) -> None:
        for name, tensor in self._plan.load(self._names_of(layer), device=self.device).items():
            _assign(self.model, name, tensor)
        if self._adapter is not None:
            self._adapter.fill(self._block_paths[layer], self.device)

    def _names_of(self, layer: int) -> list[str]:
        prefix = f"{self._block_paths[layer]}."
        return [name for name in self._own_names if name.startswith(prefix)]

    def _freed_after(self, layer: int) -> bool:
        # ALBERT's blocks are one module: it is not loaded again for every layer.
        following = self.blocks.modules[layer + 1 : layer + 2]
        return not following or following[0] is not self.blocks.modules[layer]

    def _resident_modules(self) -> dict[nn.Module, _Resident]:
        inside = {m for block in self.blocks.modules for m in block.modules()}
        reached = set(self.runner.modules()) - inside
        found: dict[nn.Module, _Resident] = {}
        persistent = set(self._own_names)
        for path, module in self.model.named_modules():
            own = [*module._parameters, *module._buffers]
            names = [f"{path}.{name}" if path else name for name in own]
            wanted = tuple(name for name in names if name in persistent)
            if module in reached and wanted:
                found[module] = _Resident(module, wanted)
        return found

    def _eager_modules(self) -> set[nn.Module]:
        """The modules that hold the list of blocks, and their children without children: embeddings and norms.

        They load at once since some models read `self.embeddings.weight` without calling that module.
        """
        parts = _blocks_path(self.model, self.blocks).split(".")
        holders = [self.model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]
        leaves = [child for holder in holders for child in holder.children() if not list(child.children())]
        return {*holders, *leaves}

    def _fill_when_called(self, module: nn.Module, _inputs: Any) -> None:
        if module in self._pending:
            self._fill(self._pending[module])

    def _fill(self, resident: _Resident) -> None:
        ignored = self.model._keys_to_ignore_on_load_missing or ()
        wanted = [n for n in resident.names if self._plan.has(n) or not any(re.search(p, n) for p in ignored)]
        for name, tensor in self._plan.load(wanted, device=self.device).items():
            _assign(self.model, name, tensor)
        if self._adapter is not None:
            self._adapter.fill_module(resident.module, self.device)
        del self._pending[resident.module]


def load_lazy_model(
    source: ModelSource,
    *,
    dtype: str = "float32",
    blocks: str | None = None,
    stack: Stack | None = None,
    adapter: ModelSource | None = None,
    device: torch.device | str | None = None,
) -> LazyModel:
    """The model in `source` (with the LoRA adapter `adapter` on it) without its weights, on `device` (None: the CPU).

    dtype, blocks, stack: as for `load_backbone` and `find_blocks`. Only file headers and the configuration are read.
    Raises ModelError for GGUF, a quantised checkpoint, the decoder of an encoder-decoder model, an adapter that is not
    plain LoRA, and files that cannot be read.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    tensors = stored_tensors(source)
    model = _empty_model(source, DTYPES[dtype])
    if stack == "decoder" and encoder_decoder_of(model) is not None:
        raise ModelError(
            f"the decoder of {type(model).__name__} reads its encoder's output: block by block only the encoder is run. "
            "Use the sample-major schedule (--schedule sample)."
        )
    found = find_blocks(backbone_of(model, stack=stack), path=blocks, stack=stack)
    names = _names_in(model)
    inside = tuple(f"{names[module]}." for module in found.modules)
    needed = [name for name in model.state_dict() if name.startswith(inside)]
    plan = CheckpointWeights(copy.deepcopy(model), tensors, needed=needed, where=str(source.path))
    lazy_model = LazyModel(model, found, plan, torch.device(device or "cpu"))
    if adapter is not None:
        lazy_model.attach(adapter)
    return lazy_model


def _empty_model(source: ModelSource, dtype: torch.dtype) -> PreTrainedModel:
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModel

    with quiet_transformers():
        try:
            config = AutoConfig.from_pretrained(source.path, trust_remote_code=False)
            if getattr(config, "quantization_config", None):
                raise ModelError(
                    f"{source.path} is quantised, which is not read block by block: use the sample-major schedule."
                )
            with init_empty_weights(include_buffers=False), _LargeEmptyOnMeta():
                model = AutoModel.from_config(config, dtype=dtype, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"cannot build the model of {source.path} from its configuration: {error}") from error
    unmade = [name for name, buffer in model.named_buffers() if buffer.is_meta and name not in model.state_dict()]
    if unmade:
        raise ModelError(
            f"{type(model).__name__} makes its buffer {unmade[0]} as it makes weights, and no file holds it: use the "
            "sample-major schedule (--schedule sample)."
        )
    return model.eval().requires_grad_(False)


class _LargeEmptyOnMeta(TorchFunctionMode):
    """`torch.empty` of many numbers, which only weights are made with, takes no memory from the start.

    accelerate moves each weight off the CPU once it is made; the allocator may keep the room of many of them.
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
    """The name of the list of blocks inside `model`, of which the module that is run may be a part."""
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
    """Give what the allocator holds free back to the system, where it is glibc's.

    Without it the gaps that activations of many sizes leave add up (measured: 80 MB over 24 blocks of 25 MB).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _move_buffers(model: nn.Module, device: torch.device) -> None:
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
