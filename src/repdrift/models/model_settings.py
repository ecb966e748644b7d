"""Checksums of the files beside a model's weights: what gives the weights their meaning, and what makes tokens of its texts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from repdrift.core.errors import ModelError
from repdrift.core.fingerprint import unchanged_file_sha256
from repdrift.core.refusals import named_file, refused_reading
from repdrift.models.folder_contents import ADAPTER_CONFIG
from repdrift.models.json_object import read_json_object
from repdrift.models.model_files import ModelSource

_SAY_NOTHING = {
    "config.json": {
        *("transformers_version", "_name_or_path", "name_or_path", "use_cache", "task_specific_params", "finetuning_task"),
        *("dtype", "torch_dtype"),  # a model is loaded in the type that is asked for, whatever stands here
    },
    ADAPTER_CONFIG: {"base_model_name_or_path", "revision", "inference_mode", "peft_version"},
}  # fmt: skip
"""Entries that change no number: who wrote the file, where it lay, and the type of the stored weights."""
_TOKENIZER_FILES = re.compile(
    r"tokenizer.*\.(json|model|txt)|special_tokens_map\.json|added_tokens\.json|vocab.*|merges\.txt"
    r"|.*\.(model|spm|bpe|tiktoken)|bpe\.codes|emoji\.json|normalizer\.json"
)


def settings_digests(source: ModelSource) -> dict[str, str]:
    """SHA-256 of the content of `config.json`, or of an adapter's `adapter_config.json`, by name.

    Layout, order of the entries, and entries that change no number do not count. A GGUF file has its settings among the
    weights, in one file, so nothing is returned. Raises ModelError if the file cannot be read.
    """
    if source.gguf_file:
        return {}
    name = ADAPTER_CONFIG if source.is_adapter else "config.json"
    if not (source.path / name).is_file():
        return {}
    content = _without(read_json_object(source.path / name), _SAY_NOTHING[name])
    return {name: hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def tokenizer_digests(source: ModelSource) -> dict[str, str]:
    """SHA-256 of every file in the model's folder that its tokenizer may be made of, by name. Raises ModelError if one cannot be read."""
    try:
        return {
            path.name: unchanged_file_sha256(path)
            for path in sorted(source.path.iterdir())
            if path.name != source.gguf_file and _TOKENIZER_FILES.fullmatch(path.name) and path.is_file()
        }
    except OSError as error:
        raise ModelError(refused_reading(named_file(error) or source.path, error)) from error


def changed_files(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names whose digest is another than was recorded, that are gone, or that are new; [] where nothing was recorded.

    Records of older versions hold no digests, and are taken as they are.
    """
    if not recorded:
        return []
    names: Iterable[str] = recorded.keys() | now.keys()
    return sorted(name for name in names if recorded.get(name) != now.get(name))


def _without(content: Any, names: set[str]) -> Any:
    """`content` without the entries of these names, at any depth: models of several parts have a group for each."""
    if isinstance(content, dict):
        return {name: _without(value, names) for name, value in content.items() if name not in names}
    return [_without(value, names) for value in content] if isinstance(content, list) else content
