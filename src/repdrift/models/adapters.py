"""PEFT adapters on a model: one on a model with its task head, or several on one copy of the base weights without head.

The head that an adapter was trained with does not change the hidden states, so where none is needed none is guessed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.adapter_files import PEFT_PREFIX, adapter_config, adapter_tensors
from repdrift.models.loading import load_task_model, quiet_transformers
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import first_line

# What stands between a module's name and the end of a tensor's name in an adapter file, for the tuners of peft.
_TENSOR_MARKS = (".lora_", ".ia3_", ".hada_", ".oft_", ".boft_", ".vera_", ".fourierft_", ".ln_tuning_", ".lokr_")


@dataclass
class AdaptedBase:
    """A backbone that carries several adapters, of which at most one is on at a time.

    backbone: the base model, inside which the adapters lie. notes: for each adapter, sentences that change how its numbers
    are to be read (trained on another base model or revision). Trained biases, and initialisations that change the base weights (PiSSA, OLoRA), leave another
    model than the base when the adapters are off: the caller must verify that `base` gives the base model.
    """

    backbone: nn.Module
    notes: list[list[str]] = field(default_factory=list)
    _model: Any = None

    @contextmanager
    def base(self) -> Generator[nn.Module]:
        """The backbone with every adapter off, inside the `with` block."""
        self._model.base_model.disable_adapter_layers()
        try:
            yield self.backbone
        finally:
            self._model.base_model.enable_adapter_layers()

    @contextmanager
    def tuned(self, number: int) -> Generator[nn.Module]:
        """The backbone with adapter `number` on; 0 is the first one given to `load_adapters`."""
        self._model.set_adapter(_name(number), inference_mode=True)
        yield self.backbone


def load_adapted(
    base: ModelSource, adapter: ModelSource, task_kind: str, *, num_labels: int | None = None, dtype: str = "float32"
) -> nn.Module:
    """Load `base` with a head for `task_kind` and the PEFT adapter on it, active and unmerged, in evaluation mode.

    task_kind, num_labels: as for `load_task_model`.
    Raises ModelError if any tensor of the adapter's files did not arrive in the model.
    """
    from peft import PeftModel

    model = load_task_model(base, task_kind, num_labels=num_labels, dtype=dtype)
    with quiet_transformers():
        try:
            adapted = PeftModel.from_pretrained(model, str(adapter.path), is_trainable=False)
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise _does_not_fit(adapter, base, error) from error
    _require_arrived(adapted, adapter_tensors(adapter), adapter, "default", without_head=False)
    return adapted.eval()


def load_adapters(backbone: nn.Module, base: ModelSource, adapters: Sequence[ModelSource]) -> AdaptedBase:
    """Put `adapters` on `backbone`, the loaded base model without head, which is changed in place.

    Raises ModelError if an adapter belongs to another model (its modules are absent, have another shape, or a tensor of its
    files did not arrive), if its files are not safetensors, or if it adds virtual tokens instead of changing modules.
    """
    from peft import PeftModel

    model: Any = None
    notes: list[list[str]] = []
    for number, source in enumerate(adapters):
        config, tensors = adapter_config(source), adapter_tensors(source)
        if config.is_prompt_learning:
            raise ModelError(
                f"the adapter in {source.path} is {config.peft_type}: it adds virtual tokens, so that its tokens are not those "
                "of the base model. Only adapters that change modules (LoRA and its relatives) can be compared."
            )
        notes.append(_base_notes(config, base))
        try:
            with quiet_transformers():
                if model is None:
                    wrapped = under_prefix(backbone, _prefix_of(tensors, backbone, source, base))
                    model = PeftModel(wrapped, config, adapter_name=_name(number))  # pyright: ignore[reportArgumentType]
                else:
                    model.add_adapter(_name(number), config)
                _set(model, tensors, number)
        except ModelError:
            raise
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise _does_not_fit(source, base, error) from error
        _require_arrived(model, tensors, source, _name(number), without_head=True)
    device = next(backbone.parameters()).device
    model.to(device).eval()
    return AdaptedBase(backbone, notes, model)


def under_prefix(backbone: nn.Module, prefix: str) -> nn.Module:
    """Returns `backbone` inside empty modules, so that its parts have the names that an adapter was trained with.

    prefix: the name of the backbone inside that model, for example "model"; "" leaves it as it is.
    """
    for part in reversed(prefix.split(".") if prefix else []):
        outer = _Named()
        outer.add_module(part, backbone)
        outer.config = getattr(backbone, "config", None)  # pyright: ignore[reportArgumentType] - peft reads it
        backbone = outer
    return backbone


class _Named(nn.Module):
    """Holds one module under a name; never called."""


def _base_notes(config: Any, base: ModelSource) -> list[str]:
    notes: list[str] = []
    trained_on, revision = config.base_model_name_or_path, config.revision
    if trained_on and trained_on.rstrip("/") not in (base.ref.rstrip("/"), str(base.path)):
        notes.append(
            f"It was trained on {trained_on!r}, as its configuration says; here it is put on {base.ref!r}, so the drift is not "
            "that of the model that was trained unless the two are the same."
        )
    if revision and base.revision and revision not in (base.revision, "main"):
        notes.append(
            f"It was trained on revision {revision} of its base; here it is put on {base.revision}, so the drift is not that of "
            "the model that was trained unless the two are the same."
        )
    return notes


def _is_of_adapter(tensor_name: str) -> bool:
    return any(mark in tensor_name for mark in _TENSOR_MARKS)


def _module_of(tensor_name: str) -> str:
    name = tensor_name.removeprefix(PEFT_PREFIX)
    for mark in _TENSOR_MARKS:
        if mark in name:
            return name[: name.index(mark)]
    return name.rsplit(".", 1)[0]


def _prefix_of(tensors: dict[str, Tensor], backbone: nn.Module, source: ModelSource, base: ModelSource) -> str:
    """The part of the adapter's names before the backbone's own names: "model", "bert", or nothing."""
    known = {name for name, _ in backbone.named_modules() if name}
    modules = [_module_of(name) for name in tensors if _is_of_adapter(name)]
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


def _set(model: Any, tensors: dict[str, Tensor], number: int) -> None:
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(model, tensors, adapter_name=_name(number))


def _require_arrived(
    model: Any, tensors: dict[str, Tensor], adapter: ModelSource, name_in_model: str, *, without_head: bool
) -> None:
    from peft import get_peft_model_state_dict

    loaded = get_peft_model_state_dict(model, adapter_name=name_in_model)
    for name, tensor in tensors.items():
        if without_head and not _is_of_adapter(name) and name not in loaded:
            continue  # a weight of the task head
        if name not in loaded or not torch.equal(loaded[name].detach().cpu(), tensor.to(loaded[name].dtype)):
            raise ModelError(
                f"{adapter.path}: tensor {name} did not arrive in the model. The adapter belongs to another model or task head."
            )


def _does_not_fit(adapter: ModelSource, base: ModelSource, error: BaseException) -> ModelError:
    return ModelError(
        f"the adapter in {adapter.path} does not fit {base.ref!r}: {first_line(error)}. Was it trained on another base model?"
    )


def _name(number: int) -> str:
    return f"adapter_{number}"
