"""A LoRA adapter on a model without weights: its layers are put in place, and get their matrices with their block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.adapter_files import PEFT_PREFIX, adapter_config, initialisation_changes_base
from repdrift.models.adapters import under_prefix
from repdrift.models.checkpoint import USE_SAMPLE_MAJOR, StoredTensor, stored_tensors
from repdrift.models.model_files import ModelSource

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PARTS = ("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B")
_NAME = "default"


class LazyAdapter:
    """The adapter in `source`, injected into `model` on the meta device; its matrices stay in float32, as in peft.

    Raises ModelError if the adapter is no plain LoRA (DoRA, trained biases or saved modules inside the model, an
    initialisation that changes the base weights), or the model has no module for one of its tensors.
    """

    def __init__(self, model: PreTrainedModel, blocks_path: str, source: ModelSource) -> None:
        self._source = source
        self._model = model
        config = self._config()
        stored = stored_tensors(source)
        found = _adapted_modules(model, stored, blocks_path, source)
        config.target_modules = {f"{found.prefix}{name}" for name in found.tensors}
        config.modules_to_save = config.layers_to_transform = config.layers_pattern = config.exclude_modules = None
        _inject(config, model, found.prefix, source)
        self._tensors: dict[str, StoredTensor] = {}
        for module, tensors in found.tensors.items():
            for part, tensor in tensors.items():
                own, dot, rest = part.partition(".")
                self._tensors[f"{module}.{own}.{_NAME}{dot}{rest}"] = tensor
        self._require_fit()

    def fill(self, path: str, device: torch.device) -> None:
        """Load the matrices of every module under the name `path`."""
        for name, tensor in self._tensors.items():
            if name.startswith(f"{path}."):
                owner, _, own = name.rpartition(".")
                value = nn.Parameter(tensor.read().float().to(device), requires_grad=False)
                self._model.get_submodule(owner)._parameters[own] = value

    def fill_module(self, module: nn.Module, device: torch.device) -> None:
        """Load the matrices around one module outside the blocks, for example an embedding."""
        for name, candidate in self._model.named_modules():
            if getattr(candidate, "base_layer", None) is module:
                self.fill(name, device)

    def _config(self) -> Any:
        from peft import LoraConfig

        config = adapter_config(self._source)
        if not isinstance(config, LoraConfig):
            raise self._unsupported(f"it is of type {config.peft_type}")
        if config.use_dora:
            raise self._unsupported("it is DoRA, whose norms need the whole weight")
        if config.bias != "none":
            raise self._unsupported(f"it trained biases (bias={config.bias!r})")
        if getattr(config, "target_parameters", None):
            raise self._unsupported("it adapts parameters and not modules (target_parameters)")
        if initialisation_changes_base(config.init_lora_weights):
            raise self._unsupported(f"its initialisation ({config.init_lora_weights!r}) changes the base weights")
        return config

    def _require_fit(self) -> None:
        own = self._model.state_dict()
        expected = {name for name in own if any(f".{part}." in name for part in _PARTS)}
        for name in sorted(expected ^ set(self._tensors)):
            fault = f"lacks {name}" if name in expected else f"holds {name}, for which the model has no module"
            raise ModelError(f"the adapter in {self._source.path} {fault}. Was it trained on another base model?")
        for name, tensor in self._tensors.items():
            if tuple(own[name].shape) != tensor.shape:
                raise ModelError(
                    f"the adapter in {self._source.path} does not fit the model: {name} is {tensor.shape}, "
                    f"{tuple(own[name].shape)} expected. Was it trained on another base model?"
                )

    def _unsupported(self, why: str) -> ModelError:
        return _unsupported(self._source, why)


def _unsupported(source: ModelSource, why: str) -> ModelError:
    return ModelError(f"the adapter in {source.path} cannot be run block by block: {why}. {USE_SAMPLE_MAJOR}.")


@dataclass(frozen=True)
class _AdaptedModules:
    """The modules that an adapter changes.

    prefix: the name of the backbone inside the model it was trained on, with a dot ("model.", or ""). tensors: by adapted
    module, then by the rest of the tensor's name ("lora_A.weight").
    """

    prefix: str
    tensors: dict[str, dict[str, StoredTensor]]


def _adapted_modules(
    model: PreTrainedModel, stored: dict[str, StoredTensor], blocks_path: str, source: ModelSource
) -> _AdaptedModules:
    names = {name.removeprefix(PEFT_PREFIX): tensor for name, tensor in stored.items()}
    in_blocks = re.compile(rf"^((?:.*?\.)?){re.escape(blocks_path)}\.\d+\.")
    inside = {found[1] for name in names if (found := in_blocks.match(name))}
    if len(inside) != 1:
        raise ModelError(
            f"the adapter in {source.path} holds no matrices for {blocks_path} of {type(model).__name__} (it holds "
            f"{', '.join(list(names)[:3]) or 'nothing'}). Was it trained on another base model?"
        )
    prefix = inside.pop()
    known = {name for name, _ in model.named_modules()}
    modules: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in names.items():
        relative = name.removeprefix(prefix)
        if not name.startswith(prefix) or (not prefix and relative.split(".")[0] not in known):
            continue  # of the task head, behind every block
        part = _part_of(relative)
        if part is None:
            raise _unsupported(
                source, f"it holds {name}, a weight trained beside the matrices (modules_to_save, or a bias)"
            )
        module = relative.removesuffix(f".{part}")
        if module not in known:
            raise ModelError(
                f"the adapter in {source.path} adapts {name}, which {type(model).__name__} does not have. "
                "Was it trained on another base model?"
            )
        modules.setdefault(module, {})[part] = tensor
    return _AdaptedModules(prefix, modules)


def _part_of(name: str) -> str | None:
    """Returns the end of a tensor's name that belongs to LoRA ("lora_A.weight"), or None if it has no such end."""
    for part in _PARTS:
        _, found, rest = name.partition(f".{part}")
        if found and (not rest or rest in (".weight", ".bias")):
            return f"{part}{rest}"
    return None


def _inject(config: Any, model: PreTrainedModel, prefix: str, source: ModelSource) -> None:
    from peft import inject_adapter_in_model

    # The adapter's patterns (rank_pattern, alpha_pattern) name modules as the model with its task head does.
    named_as_trained = under_prefix(model, prefix.removesuffix("."))
    try:
        inject_adapter_in_model(config, named_as_trained, _NAME, low_cpu_mem_usage=True)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"the adapter in {source.path} does not fit {type(model).__name__}: {error}") from error
    model.eval().requires_grad_(False)
