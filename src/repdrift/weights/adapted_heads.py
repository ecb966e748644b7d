"""The changes that an adapter makes to a head beside the backbone: read from its files, no model is loaded."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.models.adapter_files import PEFT_PREFIX, adapter_config, initialisation_changes_base
from repdrift.models.checkpoint import StoredTensor, stored_tensors
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import quiet_transformers
from repdrift.weights.base_matrices import BaseMatrices
from repdrift.weights.changed_matrix import ChangedMatrix, MatrixFactors, MatrixReader
from repdrift.weights.named_tensors import NamedTensor
from repdrift.weights.weight_comparison import difference, outside_backbone
from repdrift.weights.weight_names import WeightName, heads_of_base, names_of_base
from repdrift.weights.weight_pairs import CommonRows, is_same_head, most_rows

_NAME = "default"
_BEFORE_TRAINING = "original_module"
_WRAPPERS = ("base_layer", "modules_to_save", "token_adapter", _NAME)
_FACTORS = {"lora_A.weight", "lora_B.weight"}


class AdaptedHeads:
    """The weights of heads that an adapter changes.

    readers: by name. unread: weights that it changes in a way that is not read, such as DoRA. not_compared: a line for those,
    and for parts beside the backbone that the base model's files do not hold, as a new classifier. notes: a line for each
    weight that is compared in part.
    """

    def __init__(self, base: BaseMatrices, adapter: ModelSource) -> None:
        self.readers: dict[WeightName, MatrixReader] = {}
        self.unread: set[WeightName] = set()
        self.not_compared: list[str] = []
        self.notes: list[str] = []
        self._config = adapter_config(adapter)
        self._heads = heads_of_base(base.tensors, base.blocks_path)
        self._tokens = most_rows(names_of_base(base.tensors, base.blocks_path))
        stored = _own_names(stored_tensors(adapter))
        modules = sorted({name.rpartition(".")[0] for name in self._heads}, key=len, reverse=True)
        of_head = {name: next((m for m in modules if name.startswith(f"{m}.")), None) for name in stored}
        for module in dict.fromkeys(of_head.values()):
            if module is not None:
                self._read(module, {n.removeprefix(f"{module}."): t for n, t in stored.items() if of_head[n] == module})
        known = {name for name, _ in base.skeleton.backbone.named_modules() if name}
        beside = [name for name, module in of_head.items() if module is None and not _is_inside(name, known)]
        self.not_compared += outside_backbone(beside)

    def _read(self, module: str, tensors: Mapping[str, StoredTensor]) -> None:
        """Takes in one module: its weights saved whole, or the factors of one."""
        whole = {part: tensor for part, tensor in tensors.items() if f"{module}.{part}" in self._heads}
        for part, tensor in whole.items():
            self._saved(WeightName(None, f"{module}.{part}", in_head=True), tensor)
        rest = {part: tensor for part, tensor in tensors.items() if part not in whole}
        weight = WeightName(None, f"{module}.weight", in_head=True)
        if not rest or weight.name not in self._heads:
            return
        stored, start = self._heads[weight.name], getattr(self._config, "init_lora_weights", True)
        if set(rest) != _FACTORS or whole or getattr(self._config, "use_dora", False) or stored.dtype is None:
            self._leave(
                weight, f"changed by {self._config.peft_type.value}, of which only plain LoRA is read in a head"
            )
        elif initialisation_changes_base(start):
            self._leave(weight, f"the adapter's initialisation ({start!r}) changed the base weight too")
        elif _made_shape(rest) != stored.shape:
            self._leave(
                weight,
                f"the adapter's matrices make a change of shape {_made_shape(rest)}, and the weight is {stored.shape}",
            )
        else:
            self.readers[weight] = _factored(weight, stored, rest, _scaling(self._config, module, stored))

    def _saved(self, weight: WeightName, tensor: StoredTensor) -> None:
        stored = self._heads[weight.name]
        rows = None
        if stored.shape != tensor.shape:
            if not is_same_head(stored.shape, tensor.shape, self._tokens):
                self._leave(weight, f"its shape is {tensor.shape}, and the base model's {stored.shape}")
                return
            rows = CommonRows(stored.shape[0], tensor.shape[0])
            self.notes.append(rows.note(weight.name))
        if stored.dtype is None:
            self._leave(weight, "holds no ordinary floating-point weights")
            return
        self.readers[weight] = _replaced(weight, stored, tensor, rows)

    def _leave(self, weight: WeightName, reason: str) -> None:
        self.unread.add(weight)
        self.not_compared.append(f"{weight}: {reason}")


def _own_names(stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors by their names without what peft adds; those of modules before training are passed over."""
    found: dict[str, StoredTensor] = {}
    for name, tensor in stored.items():
        parts = name.removeprefix(PEFT_PREFIX).split(".")
        if _BEFORE_TRAINING not in parts:
            found[".".join(part for part in parts if part not in _WRAPPERS)] = tensor
    return found


def _is_inside(name: str, known: set[str]) -> bool:
    """True if a module of the backbone stands in the name."""
    parts = name.split(".")
    return any(
        ".".join(parts[start:end]) in known for start in range(len(parts)) for end in range(start + 1, len(parts))
    )


def _made_shape(factors: Mapping[str, StoredTensor]) -> tuple[int, ...]:
    return (factors["lora_B.weight"].shape[0], factors["lora_A.weight"].shape[1])


def _scaling(of_adapter: Any, module: str, stored: NamedTensor) -> float:
    """LoRA's scaling of one module as peft gives it, from its own layer without weights."""
    from peft import inject_adapter_in_model

    config = copy.deepcopy(of_adapter)
    config.target_modules, config.inference_mode = {module}, True
    config.modules_to_save = config.layers_to_transform = config.layers_pattern = config.exclude_modules = None
    *path, last = module.split(".")
    root = inner = nn.Module()
    for part in path:
        inner.add_module(part, nn.Module())
        inner = inner.get_submodule(part)
    with torch.device("meta"):
        inner.add_module(last, nn.Linear(stored.shape[1], stored.shape[0], bias=False))
    with quiet_transformers():
        inject_adapter_in_model(config, root, _NAME, low_cpu_mem_usage=True)
    layer: Any = root.get_submodule(module)
    return float(layer.scaling[_NAME])


def _factored(
    weight: WeightName, stored: NamedTensor, factors: Mapping[str, StoredTensor], scaling: float
) -> MatrixReader:
    def read() -> ChangedMatrix:
        a, b = (factors[f"lora_{part}.weight"].read().double() for part in "AB")
        return ChangedMatrix(weight, stored.shape, stored.read, factors=MatrixFactors(b * scaling, a))

    return read


def _replaced(weight: WeightName, stored: NamedTensor, tensor: StoredTensor, rows: CommonRows | None) -> MatrixReader:
    common = rows and rows.common

    def read_base() -> Tensor:
        return stored.read()[:common]

    def read() -> ChangedMatrix:
        before = read_base()
        note = rows and rows.note(weight.name)
        return ChangedMatrix(
            weight, tuple(before.shape), read_base, dense=difference(before, tensor.read()[:common]), note=note
        )

    return read
