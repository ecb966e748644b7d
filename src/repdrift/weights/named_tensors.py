"""The weights of one model by name, read one at a time: from safetensors files, or from a loaded model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.checkpoint import stored_tensors
from repdrift.models.loading import load_backbone
from repdrift.models.model_files import ModelSource
from repdrift.models.packed_weights import packed_weights

_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# Old BERT checkpoints, which transformers renames on loading.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclass(frozen=True)
class NamedTensor:
    """One tensor that has not been read yet.

    dtype: None if it does not hold floating-point weights, and no packed ones that are known. bits: of each number in the files,
    where these are packed.
    """

    shape: tuple[int, ...]
    dtype: str | None
    read: Callable[[], Tensor]
    """Reads the tensor; the caller must not write to it."""
    bits: int | None = None


@dataclass(frozen=True)
class NamedTensors:
    """The tensors of one model by name. `where` names the model in messages: its folder, its file or its class."""

    where: str
    tensors: dict[str, NamedTensor]


def named_tensors(model: ModelSource | nn.Module) -> NamedTensors:
    """The weights of `model` by name, each read when its `read` is called.

    Safetensors files, sharded or not, are read tensor by tensor; weights that bitsandbytes packed are unpacked then. A GGUF file is loaded whole, since its tensors are packed.
    A loaded model gives its named parameters, tied ones once.
    Raises ModelError if `model` is or carries an adapter (`compare_adapter` measures those), or a file cannot be read.
    """
    if isinstance(model, nn.Module):
        return _of_model(model)
    if model.is_adapter:
        raise ModelError(
            f"{model.path} holds a PEFT adapter, not a model's weights. Load it onto its base model and use compare_adapter."
        )
    if model.gguf_file:
        return _of_model(load_backbone(model), where=str(model.path / model.gguf_file))
    stored = stored_tensors(model)
    packed = packed_weights(stored)
    parts = {part for weight in packed.values() for part in weight.parts}
    tensors = {
        name: NamedTensor(t.shape, _FLOATS.get(t.stored_dtype), t.read)
        for name, t in stored.items()
        if name not in parts
    }
    tensors |= {name: NamedTensor(w.shape, w.dtype, w.read, w.bits) for name, w in packed.items()}
    return NamedTensors(str(model.path), {_current_name(name): tensor for name, tensor in tensors.items()})


def dtype_name(tensor: Tensor) -> str | None:
    """The name of the tensor's dtype, or None if it does not hold ordinary floating-point weights."""
    name = str(tensor.dtype).removeprefix("torch.")
    return name if name in _FLOATS.values() else None


def _of_model(model: nn.Module, *, where: str | None = None) -> NamedTensors:
    parameters = dict(model.named_parameters())
    adapted = next((name for name in parameters if ".base_layer." in name or ".lora_" in name), None)
    if adapted is not None:
        raise ModelError(
            f"{type(model).__name__} carries an adapter ({adapted}): its weights are still those of the base model. Use compare_adapter."
        )
    tensors = {name: NamedTensor(tuple(p.shape), dtype_name(p), p.detach) for name, p in parameters.items()}
    return NamedTensors(where or type(model).__name__, tensors)


def _current_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
