"""Notes on an adapter whose configuration names another base model than the one it is put on."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from repdrift.core.errors import ModelError
from repdrift.models.checkpoint import StoredTensor, stored_tensors
from repdrift.models.configuration import load_config
from repdrift.models.model_files import ModelSource, weight_files
from repdrift.models.setting_differences import setting_differences

_SHOWN = 3


def trained_on_notes(config: Any, base: ModelSource) -> list[str]:
    """Sentences that say that an adapter was trained on another model or revision than `base`, or may have been.

    config: the adapter's, as peft reads it. If the model that it names is on this machine, its weights are compared with
    those of `base`, and there is no note if they are the same.
    """
    named, revision = config.base_model_name_or_path, config.revision
    if named and not _is_name_of(named, base):
        found = _on_this_machine(named, revision)
        same = _same_weights(found, base) if found is not None else None
        if same is True and found is not None:
            return _settings_notes(named, found, base)
        if same is False:
            return [
                f"It was trained on {named!r}, whose weights are not those of {base.ref!r}, on which it is put here: the drift is "
                "not that of the model that was trained."
            ]
        return [
            f"It was trained on {named!r}, as its configuration says; here it is put on {base.ref!r}, so the drift is not "
            "that of the model that was trained unless the two are the same."
        ]
    if revision and base.revision and revision not in (base.revision, "main"):
        return [
            f"It was trained on revision {revision} of its base; here it is put on {base.revision}, so the drift is not that of "
            "the model that was trained unless the two are the same."
        ]
    return []


def _settings_notes(named: str, found: ModelSource, base: ModelSource) -> list[str]:
    """Says so if the two models of the same weights have other settings. None are known of a folder without a configuration."""
    try:
        differ = setting_differences(load_config(base), load_config(found))
    except ModelError:
        return []
    if not differ:
        return []
    return [
        f"It was trained on {named!r}, whose weights are those of {base.ref!r}, on which it is put here, but whose configuration has other "
        f"settings: {', '.join(differ[:_SHOWN])}. So the drift is not that of the model that was trained."
    ]


def _is_name_of(named: str, base: ModelSource) -> bool:
    if named.rstrip("/") in (base.ref.rstrip("/"), str(base.path)):
        return True
    if f"models--{named.replace('/', '--')}" in base.path.parts:  # a folder in the hub's cache
        return True
    folder = Path(named).expanduser()
    try:
        return folder.is_dir() and folder.samefile(base.path)
    except OSError:
        return False


def _on_this_machine(named: str, revision: str | None) -> ModelSource | None:
    """The model of this name, from a local folder or the hub's cache; nothing is downloaded."""
    folder = Path(named).expanduser()
    if folder.is_dir():
        return ModelSource(named, folder)
    if named.count("/") != 1 or named.startswith((".", "/", "~")):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return ModelSource(named, Path(snapshot_download(named, revision=revision, local_files_only=True)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
        return None


def _same_weights(one: ModelSource, other: ModelSource) -> bool | None:
    """True if every weight that both have is the same, up to the precision of the coarser; None if that cannot be told.

    Rows that only one of them has, as after a vocabulary was resized, do not count.
    """
    if one.is_adapter or one.gguf_file or other.gguf_file:
        return None
    try:
        files = [*weight_files(one), *weight_files(other)]
        return _equal_files(one, other, *((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files))
    except (ModelError, OSError):
        return None


@lru_cache(maxsize=64)
def _equal_files(one: ModelSource, other: ModelSource, *_stamps: tuple[str, int, int]) -> bool | None:
    """Compares the weights once. `_stamps` are those of the files, so that files that changed are read again."""
    pairs = _pairs(stored_tensors(one), stored_tensors(other))
    return all(_equal(a, b) for a, b in pairs) if pairs else None


def _pairs(one: dict[str, StoredTensor], other: dict[str, StoredTensor]) -> list[tuple[StoredTensor, StoredTensor]]:
    """The weights that both have, where one model may have a prefix before all names ("model.", "bert.")."""
    best: list[tuple[StoredTensor, StoredTensor]] = []
    for longer, shorter in ((one, other), (other, one)):
        prefixes = Counter(name[: len(name) - len(rest)] for name in longer for rest in _ends(name) if rest in shorter)
        if prefixes:
            prefix = max(prefixes, key=lambda p: (prefixes[p], -len(p)))
            found = [(longer[prefix + name], tensor) for name, tensor in shorter.items() if prefix + name in longer]
            best = max(best, found, key=len)
    return best


def _ends(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _equal(one: StoredTensor, other: StoredTensor) -> bool:
    """Tells whether two weights are the same in the rows that both have: a vocabulary may have been resized before training."""
    if one.shape[1:] != other.shape[1:] or one.is_floating_point != other.is_floating_point:
        return False
    if one.shape != other.shape and len(one.shape) != 2:
        return False
    rows = min(one.shape[0], other.shape[0]) if one.shape else None
    a, b = (one.read(), other.read()) if rows is None else (one.read()[:rows], other.read()[:rows])
    if a.is_floating_point() and a.element_size() != b.element_size():
        a, b = (a.to(b.dtype), b) if a.element_size() > b.element_size() else (a, b.to(a.dtype))
    return torch.equal(a, b.to(a.dtype))
