"""Words for a folder from which no model can be loaded: what lies there, and what to do about it.

Names of files are enough to tell: nothing is opened but small JSON files, and nothing is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import ModelError
from repdrift.core.reading import reading_errors, why_absent

ADAPTER_CONFIG = "adapter_config.json"
_SHOWN = 6
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_OTHER_FORMATS = {".h5": "TensorFlow", ".msgpack": "Flax", ".onnx": "ONNX", ".nemo": "NeMo", ".npz": "NumPy"}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.txt", "vocab.json")


@dataclass(frozen=True)
class _Sharded:
    """A way in which trainers save a model in parts, one a process.

    here: the pattern of file names that gives it away. what: its name. merge: how its parts are put together.
    """

    here: str
    what: str
    merge: str


_SHARDED = (
    _Sharded(
        r"zero_to_fp32\.py|global_step\d+|zero_pp_rank_.*|.*_optim_states\.pt|mp_rank_\d+_model_states\.pt",
        "DeepSpeed's parts of a model, one a process",
        "Merge them with `python zero_to_fp32.py . merged --safe_serialization` in that folder",
    ),
    _Sharded(
        r".*\.distcp|pytorch_model_fsdp.*|__\d+_\d+\.distcp|sharded_state_dict",
        "FSDP's parts of a model, one a process (torch.distributed.checkpoint)",
        "Merge them with `accelerate merge-weights FOLDER_OF_PARTS merged`",
    ),
    _Sharded(
        r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors",
        "parts of a model as a distributed save of transformers writes them",
        "Load them in the run that wrote them, and save with save_pretrained in one process",
    ),
    _Sharded(
        r"latest_checkpointed_iteration\.txt|iter_\d{7}|model_optim_rng\.pt|common\.pt",
        "a Megatron checkpoint",
        "Convert it with Megatron's own export to the Hugging Face format",
    ),
)


def names_in(folder: Path) -> list[str]:
    """Returns the sorted names in `folder`. Raises ModelError if it cannot be listed."""
    with reading_errors(folder, ModelError):
        return sorted(entry.name for entry in folder.iterdir())


def models_below(folder: Path) -> list[Path]:
    """Returns the folders that hold a model, one or two levels below `folder`, in the order of their numbers and names."""
    found = [child for child in _folders(folder) if _holds_model(child)]
    found += [
        deep for child in _folders(folder) if child not in found for deep in _folders(child) if _holds_model(deep)
    ]
    return sorted(found, key=lambda path: [_numbered(part) for part in path.relative_to(folder).parts])


def no_model_in(folder: Path) -> ModelError:
    """Returns the error for a folder without a model: what it holds instead, and what to give or to do."""
    names = names_in(folder)
    advice = next((words for explain in _EXPLANATIONS if (words := explain(folder, names))), None)
    if advice is None:
        advice = f"{_found(names)}. Give the folder that save_pretrained wrote."
    return ModelError(f"{folder} holds no model (neither config.json nor {ADAPTER_CONFIG}): {advice}")


def no_weights_in(folder: Path, expected: str) -> ModelError:
    """Returns the error for a model's folder without weights that can be loaded. expected: the names of such files."""
    names = names_in(folder)
    advice = next((words for explain in (_sharded, _other_weights, _below) if (words := explain(folder, names))), None)
    if advice is None:
        advice = f"{_found(names)}. Copy or download the weights as well."
    return ModelError(f"{folder} holds no weights (expected {expected}): {advice}")


def nothing_at(path: Path) -> str:
    """Says in words that nothing is at `path`, how far the path exists, and what lies there."""
    if path.is_symlink():
        return f"{path} {why_absent(path)}"
    there = next((parent for parent in path.parents if parent.is_dir()), None)
    if there is None:
        return f"there is no folder {path}"
    try:
        names = names_in(there)
    except ModelError:
        return f"there is no folder {path}, or it cannot be seen: {there} cannot be read"
    return f"there is no folder {path}; {there} holds {_listed(names)}"


def _below(folder: Path, _names: list[str]) -> str | None:
    found = [str(path) for path in models_below(folder)]
    if not found:
        return None
    return f"it lies above {len(found)} folder(s) that hold one. Give one of them: {_listed(found)}."


def _hub_cache(folder: Path, names: list[str]) -> str | None:
    snapshots = folder if folder.name == "snapshots" else folder / "snapshots"
    if not (folder.name.startswith("models--") or "snapshots" in names or folder.name == "snapshots"):
        cached = [name for name in names if name.startswith("models--")]
        if not cached:
            return None
        ids = [name.removeprefix("models--").replace("--", "/", 1) for name in cached]
        return f"it is a cache of the Hugging Face hub. Give the name of a model in it: {_listed(ids)}."
    revisions = [str(path) for path in _folders(snapshots)]
    if not revisions:
        return (
            "it is a cache of the Hugging Face hub whose model was not downloaded. Download it, or give another folder."
        )
    main = snapshots.parent / "refs" / "main"
    if main.is_file():
        with reading_errors(main, ModelError):
            newest = str(snapshots / main.read_text(encoding="utf-8", errors="replace").strip())
        revisions = sorted(revisions, key=lambda path: path != newest)
    return f"it is a cache of the Hugging Face hub, whose models lie deeper. Give {_listed(revisions)}."


def _sharded(folder: Path, names: list[str]) -> str | None:
    for kind in _SHARDED:
        found = [name for name in names if re.fullmatch(kind.here, name)]
        if not found:
            below = [child.name for child in _folders(folder) if any(re.fullmatch(kind.here, n) for n in _quiet(child))]
            found = [f"{name}/" for name in below]
        if found:
            return (
                f"it holds {kind.what} ({_listed(found)}), which are of use to the trainer only. {kind.merge}, and give the "
                "folder with the result, with the base model's config.json in it."
            )
    return None


def _other_library(folder: Path, names: list[str]) -> str | None:
    if "model_index.json" in names:
        parts = [str(folder / name) for name in ("text_encoder", "text_encoder_2") if name in names]
        more = f" Give its text encoder: {_listed(parts)}." if parts else " Only language models can be compared."
        return f"it is a pipeline of diffusers (model_index.json).{more}"
    if "modules.json" in names:
        deeper = [str(path) for path in models_below(folder)]
        give = f"Give the folder of its transformer: {_listed(deeper)}" if deeper else _found(names).capitalize()
        return f"it is a model of sentence-transformers (modules.json), whose transformer lies deeper. {give}."
    if "params.json" in names and any(name.startswith("consolidated") for name in names):
        return "it holds weights in Meta's own layout (params.json). Convert them with transformers' conversion script."
    return None


def _weights_alone(_folder: Path, names: list[str]) -> str | None:
    weights = [name for name in names if name.endswith(".safetensors")]
    if not weights:
        return None
    if any(name.startswith("adapter") for name in weights):
        return f"it holds {_listed(weights)}, but no {ADAPTER_CONFIG}. Copy that file from the training run."
    return f"it holds {_listed(weights)}, but no config.json. Copy that file from the base model or the training run."


def _other_weights(folder: Path, names: list[str]) -> str | None:
    pickled = [name for name in names if name.endswith(_PICKLES) and name not in _TRAINER_STATE]
    if pickled:
        return (
            f"it holds {_listed(pickled)}, a pickle, which is not loaded: a pickle can run any code. Load it in the program "
            "that you trust with it, and save it again with save_pretrained, which writes safetensors."
        )
    other = [(name, kind) for name in names for end, kind in _OTHER_FORMATS.items() if name.endswith(end)]
    if other:
        name, kind = other[0]
        return (
            f"it holds {name}, weights of {kind}. Save the model as safetensors with save_pretrained of transformers."
        )
    state = [name for name in names if name in _TRAINER_STATE]
    if state and not any(name.endswith(".safetensors") for name in names):
        return f"it holds the state of a trainer ({_listed(state)}) without the model. Save the model at checkpoints as well."
    if folder.name.startswith("checkpoint-") and not names:
        return "the folder is empty. Was the run stopped while it saved?"
    return None


def _tokenizer_only(_folder: Path, names: list[str]) -> str | None:
    files = [name for name in names if name in _TOKENIZER_FILES]
    return f"it holds a tokenizer alone ({_listed(files)}). Give the folder with the weights." if files else None


def _empty(_folder: Path, names: list[str]) -> str | None:
    return None if names else "the folder is empty. Was the run stopped while it saved?"


def _configuration_alone(folder: Path, names: list[str]) -> str | None:
    checkpoints = [str(folder / name) for name in names if re.fullmatch(r"(checkpoint|epoch|step)[-_]\d+", name)]
    if not checkpoints:
        return None
    return f"it lies above {_listed(checkpoints)}, none of which holds a model either. Were they saved completely?"


_TRAINER_STATE = (
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "scaler.pt",
    "training_args.bin",
    "trainer_state.json",
)
_EXPLANATIONS: tuple[Callable[[Path, list[str]], str | None], ...] = (
    _empty,
    _hub_cache,
    _other_library,
    _sharded,
    _below,
    _weights_alone,
    _other_weights,
    _tokenizer_only,
    _configuration_alone,
)


def _found(names: list[str]) -> str:
    return f"found {_listed(names) or 'nothing'}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _holds_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", ADAPTER_CONFIG))


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _quiet(folder) if (folder / name).is_dir()]


def _quiet(folder: Path) -> list[str]:
    try:
        return names_in(folder)
    except ModelError:
        return []


def _numbered(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts checkpoint-1000 after checkpoint-200."""
    return tuple(_pieces(name))


def _pieces(name: str) -> Iterator[tuple[int, str]]:
    for piece in re.split(r"(\d+)", name):
        yield (int(piece), "") if piece.isdigit() else (-1, piece)
