"""The files of a PEFT adapter: its configuration, its tensors, and whether it leaves the base model as it is when off."""

from __future__ import annotations

from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.models.model_files import ADAPTER_CONFIG, ModelSource, read_json_object, weight_files
from repdrift.models.third_party import first_line

PEFT_PREFIX = "base_model.model."
"""What peft writes before the name of every tensor in an adapter's files."""

_INITIALISATIONS_OF_ADAPTER_ALONE = ("gaussian", "eva", "orthogonal")


def adapter_config(adapter: ModelSource) -> Any:
    """The adapter's configuration, as peft reads it, with `inference_mode` on.

    Raises ModelError if the configuration cannot be read, or names a kind of adapter that the installed peft lacks.
    """
    from peft import PeftConfig, PeftType

    path = adapter.path / ADAPTER_CONFIG
    kind = read_json_object(path).get("peft_type")
    if kind not in list(PeftType):
        raise ModelError(
            f"{path} names no kind of adapter that the installed peft knows: peft_type is {kind!r}. "
            "Install the version of peft that wrote it."
        )
    try:
        config = PeftConfig.from_pretrained(str(adapter.path))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} cannot be read as the configuration of an adapter: {first_line(error)}") from error
    config.inference_mode = True
    return config


def adapter_tensors(adapter: ModelSource) -> dict[str, Tensor]:
    """The tensors in the adapter's files, by name.

    Raises ModelError if a file is no safetensors file, or a tensor holds NaN or Inf.
    """
    found: dict[str, Tensor] = {}
    for path in weight_files(adapter):
        try:
            with safe_open(path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a dict)
        except Exception as error:  # whatever a damaged file provokes in safetensors
            raise ModelError(f"{path} cannot be read as safetensors: {first_line(error)}") from error
        wrong = next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)
        if wrong is not None:
            raise ModelError(f"{path}: tensor {wrong} holds NaN or Inf: its training diverged, or the file is damaged")
        found |= tensors
    return found


def reason_against_sharing(adapter: ModelSource) -> str | None:
    """Returns why this adapter cannot share the base model's weights in memory, or None if its configuration allows it.

    It can share them if switching it off leaves the base model.
    Raises ModelError if the configuration cannot be read.
    """
    config = read_json_object(adapter.path / ADAPTER_CONFIG)
    if config.get("bias", "none") != "none":
        return f"it trained biases ({config['bias']!r}), which stay when it is off"
    initialised = config.get("init_lora_weights", True)
    if initialisation_changes_base(initialised):
        return f"its initialisation ({initialised!r}) changes the base weights"
    return None


def initialisation_changes_base(initialisation: Any) -> bool:
    """True if LoRA with this initialisation changes the base weights as well (PiSSA, OLoRA, LoftQ and others).

    initialisation: the value of peft's `init_lora_weights`.
    """
    return isinstance(initialisation, str) and initialisation.lower() not in _INITIALISATIONS_OF_ADAPTER_ALONE
