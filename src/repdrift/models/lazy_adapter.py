"""A LoRA adapter on a model without weights: its layers are put in place, and get their matrices with their block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.adapter_contents import WITHOUT_EFFECT, listed
from repdrift.models.adapter_files import PEFT_PREFIX, adapter_config, initialisation_changes_base
from repdrift.models.adapters import under_prefix
from repdrift.models.checkpoint import USE_SAMPLE_MAJOR, StoredTensor, stored_tensors
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import quiet_transformers

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
        _require_every_module(config, model, found, source)
        config.target_modules = {f"{found.prefix}{name}" for name in found.tensors}
        config.modules_to_save = config.layers_to_transform = config.layers_pattern = config.exclude_modules = None
        _inject(config, model, found.prefix, source)
        variant = next((v for m in model.modules() for v in (getattr(m, "lora_variant", None) or {}).values()), None)
        if variant is not None:
            raise self._unsupported(f"it is of a variant of LoRA ({type(variant).__name__})")
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

    def matrices(self, path: str) -> dict[str, Tensor]:
        """Reads the matrices of the module `path` in float32, by the rest of their names; the model stays as it is."""
        start = f"{path}."
        return {n.removeprefix(start): t.read().float() for n, t in self._tensors.items() if n.startswith(start)}

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
        if getattr(config, "layer_replication", None):
            raise self._unsupported("it repeats layers of the base model (layer_replication)")
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
        place = _part_of(relative)
        if place is None:
            raise _unsupported(
                source, f"it holds {name}, a weight trained beside the matrices (modules_to_save, or a bias)"
            )
        module, part = place
        if part in modules.get(module, {}):
            raise _unsupported(source, f"it holds {relative} twice, as where it holds several adapters")
        if module not in known:
            raise ModelError(
                f"the adapter in {source.path} adapts {name}, which {type(model).__name__} does not have. "
                "Was it trained on another base model?"
            )
        modules.setdefault(module, {})[part] = tensor
    return _AdaptedModules(prefix, modules)


def _require_every_module(config: Any, model: PreTrainedModel, found: _AdaptedModules, source: ModelSource) -> None:
    """Raises ModelError if the configuration names modules of the model that the files hold no matrices for."""
    from peft.tuners.tuners_utils import check_target_module_exists

    if not config.target_modules or config.target_modules == "all-linear":
        return
    named = [name for name, _ in model.named_modules() if name and not name.startswith(WITHOUT_EFFECT)]
    called_for = [name for name in named if check_target_module_exists(config, found.prefix + name)]
    missing = [name for name in called_for if name not in found.tensors]
    if missing:
        raise ModelError(
            f"the adapter in {source.path} is not whole: its configuration calls for matrices in {len(called_for)} modules, and "
            f"those of {len(missing)} are not in its files: {listed(missing)}. Save it again, or copy it anew."
        )


def _part_of(name: str) -> tuple[str, str] | None:
    """Splits a tensor's name into its module and the end that belongs to LoRA ("lora_A.weight"); None if it has no such end.

    An adapter's name in it ("lora_A.default.weight") is left out.
    """
    for part in _PARTS:
        module, found, rest = name.partition(f".{part}")
        if not found:
            continue
        own = [piece for piece in rest.split(".") if piece]
        end = own[-1:] if own and own[-1] in ("weight", "bias") else []
        if len(own) - len(end) <= 1:
            return module, ".".join([part, *end])
    return None


def _inject(config: Any, model: PreTrainedModel, prefix: str, source: ModelSource) -> None:
    from peft import inject_adapter_in_model

    # The adapter's patterns (rank_pattern, alpha_pattern) name modules as the model with its task head does.
    named_as_trained = under_prefix(model, prefix.removesuffix("."))
    try:
        with quiet_transformers():
            inject_adapter_in_model(config, named_as_trained, _NAME, low_cpu_mem_usage=True)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"the adapter in {source.path} does not fit {type(model).__name__}: {error}") from error
    model.eval().requires_grad_(False)
