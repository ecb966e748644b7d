"""The names of a representation set's files, finished and unfinished."""

from __future__ import annotations

import re

from repdrift.core.records.representation_set import ADAPTER_FOLDER, PayloadFormat

PARTIAL_FOLDER = ".partial"
"""Below the set's folder: the files of an unfinished set, under their final names, and its journals."""
LOCK_SUFFIX = ".lock"
"""Of the empty hidden file beside the set's folder that whoever writes the set holds, and takes away again."""
TENSOR_KEY = "representation"
"""The tensor's name inside a safetensors payload."""

_LAYER_NAME = re.compile(r"layer_(\d+)\.(pt|safetensors)")
_ADAPTER_NAME = re.compile(rf"{ADAPTER_FOLDER}/lora_[AB]_layer_(\d+)\.pt")


def layer_name(layer: int, payload: PayloadFormat) -> str:
    """The file that holds one layer, below the set's folder."""
    return f"layer_{layer}.{payload}"


def adapter_name(letter: str, layer: int) -> str:
    """The file that holds LoRA matrix `A` or `B` of one block, below the set's folder."""
    return f"{ADAPTER_FOLDER}/lora_{letter}_layer_{layer}.pt"


def is_layer_name(name: str) -> bool:
    """Whether `name` is that of a layer's file."""
    return _LAYER_NAME.fullmatch(name) is not None


def is_payload_name(name: str) -> bool:
    """Whether `name` (a path below the set's folder, with forward slashes) can be a payload file of a set."""
    return is_layer_name(name) or _ADAPTER_NAME.fullmatch(name) is not None
