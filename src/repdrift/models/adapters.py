"""PEFT adapters over one copy of the base weights, without a task head: which head an adapter was trained with, if any,
does not change the hidden states, so none has to be guessed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.loading import adapter_tensors, first_line, quiet_transformers
from repdrift.models.model_files import ADAPTER_CONFIG, ModelSource, read_json_object

_PEFT_PREFIX = "base_model.model."
# What stands between a module's name and the end of a tensor's name in an adapter file, for the tuners of peft.
_TENSOR_MARKS = (".lora_", ".ia3_", ".hada_", ".oft_", ".boft_", ".vera_", ".fourierft_", ".ln_tuning_", ".lokr_")


@dataclass
class AdaptedBase:
    """A backbone that carries adapters; with `base()` they are all off, with `tuned(k)` the k-th is on.

    The caller verifies that `base()` gives the base model's hidden states. Trained biases, and adapters that change the
    weights they are put on (PiSSA, OLoRA), leave another model behind when they are off.
    """

    backbone: nn.Module
    sources: list[ModelSource]
    notes: list[str] = field(default_factory=list)
    _model: Any = None

    @contextmanager
    def base(self) -> Generator[nn.Module]:
        """The backbone with every adapter off."""
        self._model.base_model.disable_adapter_layers()
        try:
            yield self.backbone
        finally:
            self._model.base_model.enable_adapter_layers()

    @contextmanager
    def tuned(self, number: int) -> Generator[nn.Module]:
        """The backbone with one adapter on."""
        self._model.set_adapter(_name(number), inference_mode=True)
        yield self.backbone


def load_adapters(backbone: nn.Module, base: ModelSource, adapters: Sequence[ModelSource]) -> AdaptedBase:
    """Put `adapters` on `backbone` (a loaded base model without head, changed in place), all kept and one at a time in use.

    Raises ModelError if an adapter belongs to another model: its modules are not there, have another shape, or a tensor
    of its file did not arrive; or if it is not safetensors, or adds virtual tokens instead of changing modules.
    """
    from peft import PeftModel

    model: Any = None
    notes: list[str] = []
    for number, source in enumerate(adapters):
        config, tensors = _adapter_config(source), adapter_tensors(source)
        notes += _base_notes(config, source, base)
        try:
            with quiet_transformers():
                if model is None:
                    wrapped = _under_prefix(backbone, _prefix_of(tensors, backbone, source, base))
                    model = PeftModel(wrapped, config, adapter_name=_name(number))  # pyright: ignore[reportArgumentType]
                else:
                    model.add_adapter(_name(number), config)
                _set(model, tensors, number)
        except ModelError:
            raise
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"the adapter in {source.path} does not fit {base.ref!r}: {first_line(error)}. "
                "Was it trained on another base model?"
            ) from error
        _require_arrived(model, tensors, number, source)
    device = next(backbone.parameters()).device
    model.to(device).eval()
    return AdaptedBase(backbone, list(adapters), notes, model)


def needs_own_weights(adapter: ModelSource) -> str | None:
    """Why this adapter, switched off, would not leave the base model behind; None if nothing in its config says so.

    Raises ModelError if the config cannot be read.
    """
    config = read_json_object(adapter.path / ADAPTER_CONFIG)
    if config.get("bias", "none") != "none":
        return f"it trained biases ({config['bias']!r}), which stay when it is off"
    initialised = config.get("init_lora_weights", True)
    if isinstance(initialised, str) and initialised.lower() not in ("gaussian", "eva", "orthogonal"):
        return f"its initialisation ({initialised!r}) changes the base weights"
    return None


def _adapter_config(source: ModelSource) -> Any:
    from peft import PeftConfig, PeftType

    kind = read_json_object(source.path / ADAPTER_CONFIG).get("peft_type")
    if kind not in list(PeftType):
        raise ModelError(
            f"{source.path / ADAPTER_CONFIG} names no kind of adapter that the installed peft knows: peft_type is {kind!r}"
        )
    try:
        config = PeftConfig.from_pretrained(str(source.path))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{source.path / ADAPTER_CONFIG} cannot be read: {first_line(error)}") from error
    if config.is_prompt_learning:
        raise ModelError(
            f"the adapter in {source.path} is {config.peft_type}: it adds virtual tokens, so that its tokens are not those "
            "of the base model. Only adapters that change modules (LoRA and its relatives) can be compared."
        )
    config.inference_mode = True
    return config


def _base_notes(config: Any, source: ModelSource, base: ModelSource) -> list[str]:
    notes: list[str] = []
    trained_on, revision = config.base_model_name_or_path, config.revision
    if trained_on and trained_on.rstrip("/") not in (base.ref.rstrip("/"), str(base.path)):
        notes.append(
            f"the adapter {source.ref} was trained on {trained_on!r}, by its own word; here it is put on {base.ref!r}"
        )
    if revision and base.revision and revision not in (base.revision, "main"):
        notes.append(
            f"the adapter {source.ref} was trained on revision {revision} of its base; here it is put on {base.revision}: "
            "part of the drift may be the difference of the two"
        )
    return notes


def _module_of(tensor_name: str) -> str:
    name = tensor_name.removeprefix(_PEFT_PREFIX)
    for mark in _TENSOR_MARKS:
        if mark in name:
            return name[: name.index(mark)]
    return name.rsplit(".", 1)[0]


def _prefix_of(tensors: dict[str, Tensor], backbone: nn.Module, source: ModelSource, base: ModelSource) -> str:
    """What stands before the backbone's own names in the adapter's: "model", "bert", or nothing."""
    known = {name for name, _ in backbone.named_modules() if name}
    modules = [_module_of(name) for name in tensors if any(mark in name for mark in _TENSOR_MARKS)]
    for module in modules:
        parts = module.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in known:
                return ".".join(parts[:cut])
    shown = ", ".join(modules[:2]) or "none"
    raise ModelError(
        f"the adapter in {source.path} does not fit {base.ref!r}: it adapts modules that {type(backbone).__name__} does not have "
        f"({shown}). Was it trained on another base model?"
    )


def _under_prefix(backbone: nn.Module, prefix: str) -> nn.Module:
    """`backbone` inside empty modules, so that its parts have the names that the adapter was trained with."""
    for part in reversed(prefix.split(".") if prefix else []):
        outer = _Named()
        outer.add_module(part, backbone)
        outer.config = getattr(backbone, "config", None)  # pyright: ignore[reportArgumentType] - peft reads it
        backbone = outer
    return backbone


class _Named(nn.Module):
    """Holds one module under a name; never called."""


def _set(model: Any, tensors: dict[str, Tensor], number: int) -> None:
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(model, tensors, adapter_name=_name(number))


def _require_arrived(model: Any, tensors: dict[str, Tensor], number: int, source: ModelSource) -> None:
    from peft import get_peft_model_state_dict

    loaded = get_peft_model_state_dict(model, adapter_name=_name(number))
    for name, tensor in tensors.items():
        if not any(mark in name for mark in _TENSOR_MARKS) and name not in loaded:
            continue  # the task head's, which is not here
        if name not in loaded or not torch.equal(loaded[name].detach().cpu(), tensor.to(loaded[name].dtype)):
            raise ModelError(
                f"{source.path}: tensor {name} did not arrive in the model. The adapter belongs to another model."
            )


def _name(number: int) -> str:
    return f"adapter_{number}"
