"""Checks of an adapter in a model against its files: every tensor arrives, none is missing, and what is made up is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.adapter_files import PEFT_PREFIX, base_tensor_named
from repdrift.models.base_weights import BaseWeights, name_under_adapters, tensor_under_adapters
from repdrift.models.model_files import ModelSource

_NAMED = 3  # tensors that a message names
WITHOUT_EFFECT = "pooler."
"""What comes after every block; a backbone has one that many a model with a head has not."""

_COPY_OF_BASE = "trainable_tokens_original"
"""Rows of the base model's embedding, which peft keeps to put them back after merging."""


@dataclass(frozen=True)
class Place:
    """The backbone that an adapter lies in, and the backbone's name inside the model that it was trained on ("" for none)."""

    backbone: nn.Module
    prefix: str

    def inner(self, name: str) -> str | None:
        """A tensor's name inside the backbone, or None if it belongs to another part of the model, as a head does."""
        if not name.startswith(PEFT_PREFIX):
            return name  # of the adapter as a whole
        name = name.removeprefix(PEFT_PREFIX)
        if self.prefix:
            return name.removeprefix(f"{self.prefix}.") if name.startswith(f"{self.prefix}.") else None
        return name if name.split(".")[0] in dict(self.backbone.named_children()) else None

    def matters(self, name: str) -> bool:
        """True if the tensor can change a hidden state."""
        inner = self.inner(name)
        return inner is not None and not inner.startswith(WITHOUT_EFFECT)


def adapter_state(model: Any, name: str) -> dict[str, Tensor]:
    """The tensors of the adapter `name` in a model of peft, under the names that they have in files.

    Embeddings of the base model are left out, for which peft would ask the hub whether they were resized.
    """
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)


def absent_from(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor], place: Place) -> list[str]:
    """Names of the adapter's tensors that its files do not hold by name, and that can change a hidden state."""
    return [name for name in expected if name not in stored and place.matters(name)]


def unexplained(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor], place: Place) -> list[str]:
    """Names in the files that are neither the adapter's nor the base model's nor those of another part of the model.

    peft may know such a name from an older version, and rename it on loading.
    """
    return [
        name
        for name in stored
        if name not in expected and place.inner(name) is not None and base_tensor_named(name, place.backbone) is None
    ]


def spoil(expected: Mapping[str, Tensor], names: list[str]) -> None:
    """Writes NaN into these tensors of the adapter, so that those that its files do not set are seen afterwards."""
    with torch.no_grad():
        for name in names:
            if expected[name].is_floating_point():
                expected[name].fill_(torch.nan)


def still_spoilt(loaded: Mapping[str, Tensor], names: list[str]) -> list[str]:
    """Those of these tensors that were not set since `spoil`, or that cannot tell."""
    return [name for name in names if not loaded[name].is_floating_point() or bool(torch.isnan(loaded[name]).any())]


def not_whole(adapter: ModelSource, missing: list[str], expected: Mapping[str, Tensor]) -> ModelError:
    """The error that an adapter's files lack tensors."""
    return ModelError(
        f"the adapter in {adapter.path} is not whole: its configuration calls for {len(expected)} tensors in the model, and "
        f"{len(missing)} of them are not in its files: {listed(missing)}. They would be random numbers, or leave the model as "
        "it is. Save it again, or copy it anew."
    )


@dataclass(frozen=True)
class Arrived:
    """The places that the tensors of an adapter's files went to.

    loaded: the adapter's tensors in the model, under the names of the files. written: the names, inside the backbone, of
    the base model's tensors that the files replaced. elsewhere: names in the files of tensors that belong to other parts of
    the model, such as a head.
    """

    loaded: dict[str, Tensor]
    written: set[str]
    elsewhere: list[str]


def require_arrived(
    loaded: dict[str, Tensor], stored: Mapping[str, Tensor], place: Place, adapter: ModelSource
) -> Arrived:
    """Finds every tensor of the files in the adapter, or in the base model under it, with its value.

    Raises ModelError if one is in neither, and belongs to the backbone.
    """
    found = Arrived(loaded, set(), [])
    # peft renames tensors of old files on loading: they are known by their values.
    renamed = [tensor for name, tensor in loaded.items() if name not in stored]
    for name, tensor in stored.items():
        own = None if place.inner(name) is None else name_under_adapters(place.backbone, name)
        if name in loaded and tensor.is_floating_point() != loaded[name].is_floating_point():
            raise ModelError(
                f"the adapter in {adapter.path} holds {name.removeprefix(PEFT_PREFIX)} as {str(tensor.dtype).removeprefix('torch.')}, "
                f"where {str(loaded[name].dtype).removeprefix('torch.')} is expected: is it quantised? Save it in float32, float16 or "
                "bfloat16."
            )
        if name in loaded:
            arrived = _equal(tensor, loaded[name])
        elif place.inner(name) is None:
            found.elsewhere.append(name)
            continue
        elif own is not None:
            arrived = _equal(tensor, tensor_under_adapters(place.backbone, own))
        else:
            arrived = any(_equal(tensor, other) for other in renamed)
        if not arrived:
            raise ModelError(
                f"the adapter in {adapter.path} does not fit: its tensor {name.removeprefix(PEFT_PREFIX)} {tuple(tensor.shape)} has "
                f"no place in {type(place.backbone).__name__} with the modules that its configuration names. "
                "Was it trained on another base model?"
            )
        if own is not None:
            found.written.add(own)
    return found


def not_in_files(model: Any, name: str, loaded: Mapping[str, Tensor], base: BaseWeights) -> dict[str, Tensor]:
    """Tensors that the adapter `name` uses in the model and that its files do not hold, by a name to show.

    Some kinds draw a projection or choose indices when they are loaded, or decompose the base weights.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    known = {_memory(tensor) for tensor in (*loaded.values(), *base.tensors().values())}
    others = set(model.peft_config) - {name}
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    holders = [("", model.base_model)]
    holders += [
        (path, m) for path, m in model.named_modules() if isinstance(m, (BaseTunerLayer, AuxiliaryTrainingWrapper))
    ]
    for path, holder in holders:
        for where, tensor in _tensors_in(holder, path, others, seen, skip=("model", "base_layer", "original_module")):
            if tensor.numel() and _memory(tensor) not in known:
                found.setdefault(where.removeprefix(PEFT_PREFIX).removeprefix(".").replace(f".{name}", ""), tensor)
    return {
        shown: tensor
        for shown, tensor in found.items()
        if WITHOUT_EFFECT not in shown and not shown.endswith(_COPY_OF_BASE)
    }


def listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(name.removeprefix(PEFT_PREFIX) for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _tensors_in(
    value: Any, path: str, others: set[str], seen: set[int], skip: tuple[str, ...] = ()
) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that can be reached from `value`, except through the names in `skip` and those of other adapters."""
    if isinstance(value, Tensor):
        yield path, value
        return
    if not isinstance(value, (nn.Module, Mapping, list, tuple)) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        inside = {k: v for k, v in vars(value).items() if not k.startswith("_") or isinstance(v, Tensor)}
        entries = [*inside.items(), *value._parameters.items(), *value._buffers.items(), *value._modules.items()]
    elif isinstance(value, Mapping):
        entries = [(str(key), entry) for key, entry in value.items()]
    else:
        entries = [(str(number), entry) for number, entry in enumerate(value)]
    for key, entry in entries:
        if key not in skip and key not in others and entry is not None:
            yield from _tensors_in(entry, f"{path}.{key}", others, seen)


def _memory(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape)


def _equal(stored: Tensor, loaded: Tensor | None) -> bool:
    if loaded is None or stored.shape != loaded.shape or stored.is_floating_point() != loaded.is_floating_point():
        return False  # whole numbers in place of weights are quantised ones
    return torch.equal(stored.to(loaded.dtype), loaded.detach().cpu())
