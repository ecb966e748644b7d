"""A model's configuration, read without the code, the attention kernels or the number types that it may name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repdrift.core.errors import ModelError
from repdrift.models.full_attention import SPARSE
from repdrift.models.gguf_file import read_gguf_header, require_loadable
from repdrift.models.json_object import read_json_object
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import loader_errors, quiet_transformers

_ATTENTION_KEYS = ("attn_implementation", "_attn_implementation")
_ATTENTION_OF_TORCH = (None, "eager", "sdpa")
_SPARSE_FAMILIES = ("big_bird", "bigbird_pegasus")
_TYPE_KEYS = ("dtype", "torch_dtype")
_MOST_PARTS = {r"(^|_)n?_?(layers?|blocks|experts)$|\.(block|expert)_count$": 10_000, r"(^|_)labels$": 1_000_000}
"""Entries that count modules or names, by a pattern of their keys, and what no model has more of."""
_USUAL_SIZES = {
    "vocab_size": 5_000_000,
    "hidden_size": 65_536,
    "intermediate_size": 1 << 20,
    "max_position_embeddings": 20_000_000,
}
"""Up to these, sizes are not held against the files: they may have no tensor of that length, as rotary positions have none."""


def load_config(source: ModelSource) -> Any:
    """Load the configuration of the model in `source`.

    Attention implementations that need another package, or kernels from the hub, are taken out of it: transformers chooses one
    that is here. So is the number type of the files, since models are loaded in the type that is asked for.
    Raises ModelError if it cannot be read, or transformers has no such architecture.
    """
    from transformers import AutoConfig

    if source.gguf_file:
        header = read_gguf_header(source.path / source.gguf_file)
        require_loadable(header)
        _require_few_parts(header.path, header.metadata)
        what = f"no configuration could be read from {header.path} (GGUF, architecture {header.architecture!r})"
        with loader_errors(what, "Give the model as safetensors."), quiet_transformers():
            return AutoConfig.from_pretrained(source.path, gguf_file=source.gguf_file, trust_remote_code=False)
    described = read_json_object(source.path / "config.json")
    what = f"no configuration could be read from {source.path}"
    _require_known(source, described)
    _require_buildable(source, described)
    # The values of these are replaced before transformers sees them: a type that torch lacks is an error there.
    overridden = {key: None for key in _TYPE_KEYS if key in described}
    with loader_errors(what, "Was it written by another version of transformers?"), quiet_transformers():
        config = AutoConfig.from_pretrained(source.path, trust_remote_code=False, **overridden)
    if _asked_attention(described) not in _ATTENTION_OF_TORCH:
        config._attn_implementation = None
    if "transformers_weights" in described:
        config.transformers_weights = None  # names a file that would be loaded in place of the usual ones
    return config


def configuration_notes(source: ModelSource) -> list[str]:
    """Sentences on what the configuration in `source` asks for and does not get. Raises ModelError if it cannot be read."""
    if source.gguf_file or source.is_adapter:
        return []
    described = read_json_object(source.path / "config.json")
    notes: list[str] = []
    asked = _asked_attention(described)
    if asked not in _ATTENTION_OF_TORCH:
        notes.append(
            f"Its configuration asks for the attention {asked!r}, and it was run with an implementation of torch: the same numbers up "
            "to rounding."
        )
    if _asks_for_sparse(described):
        notes.append(
            "It has sparse attention for long texts and full attention for short ones, and keeps to full attention after the first short "
            "batch. It was run with full attention on all texts, so that no row depends on the texts beside it."
        )
    if described.get("auto_map"):
        notes.append(
            f"Its folder names code of its own, which is never run: it was run as {described.get('model_type')!r} of transformers. "
            "If that code computes something else, these are not its representations."
        )
    return notes


def _require_known(source: ModelSource, described: dict[str, Any]) -> None:
    """Raises ModelError if the configuration names no architecture of transformers."""
    from transformers import CONFIG_MAPPING

    kind = described.get("model_type")
    if isinstance(kind, str) and kind in CONFIG_MAPPING:
        return
    named = ", ".join(map(str, described.get("architectures") or [])) or "no architecture"
    if described.get("auto_map"):
        raise ModelError(
            f"{source.path} holds a model of type {kind!r} ({named}) whose code lies in its folder, and code of a model is never run. "
            "Give a model of an architecture that transformers has itself, or a copy converted to one."
        )
    if kind is None:
        keys = ", ".join(sorted(described)[:6]) or "nothing"
        raise ModelError(
            f"{source.path / 'config.json'} names no model_type, so it is no configuration of transformers (it holds {keys}). Copy "
            "config.json from the base model, if this is a fine-tune of one."
        )
    raise ModelError(
        f"{source.path} holds a model of type {kind!r} ({named}), which the installed transformers does not have. Install a newer "
        "transformers, or check the name."
    )


def _require_buildable(source: ModelSource, described: dict[str, Any]) -> None:
    """Raises ModelError if so many parts are named that Python would fill the memory with them before a weight is read."""
    for group in (described, *(part for part in described.values() if isinstance(part, dict))):
        _require_few_parts(source.path / "config.json", group)


def _require_few_parts(where: Path, described: Mapping[str, Any]) -> None:
    for name, value in described.items():
        most = next((most for pattern, most in _MOST_PARTS.items() if re.search(pattern, name)), None)
        if most is not None and isinstance(value, int | float) and value > most:
            raise ModelError(
                f"{where} says {name} {value:,}, and no model has more than {most:,}. Copy or download it again."
            )


def require_sizes_in_files(source: ModelSource, longest: int) -> None:
    """Raises ModelError if config.json names a size far beyond the weights: room would be made for it before they are compared.

    longest: the longest side of any tensor in the files.
    """
    described = read_json_object(source.path / "config.json")
    for name, usual in _USUAL_SIZES.items():
        value = described.get(name)
        if isinstance(value, int | float) and value > max(longest, usual):
            raise ModelError(
                f"{source.path / 'config.json'} says {name} {value:,}, and no weight has a side longer than {longest:,}. Do configuration and "
                "weights belong together?"
            )


def asks_for_sparse_attention(source: ModelSource) -> bool:
    """True if the model would choose between sparse and full attention by itself (see `FullAttention`). Raises ModelError if it cannot be read."""
    return (
        not source.gguf_file
        and not source.is_adapter
        and _asks_for_sparse(read_json_object(source.path / "config.json"))
    )


def _asks_for_sparse(described: dict[str, Any]) -> bool:
    """True for BigBird and BigBird-Pegasus, unless full attention is asked for; where nothing is said, theirs is sparse."""
    return described.get("model_type") in _SPARSE_FAMILIES and described.get("attention_type", SPARSE) == SPARSE


def _asked_attention(described: dict[str, Any]) -> str | None:
    asked = next((described[key] for key in _ATTENTION_KEYS if described.get(key)), None)
    return asked if asked is None or isinstance(asked, str) else str(asked)
