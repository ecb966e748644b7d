"""Reads folders of data: saved by the datasets library, or of shards; any other folder is named for what it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors
from repdrift.core.words import counted, listed
from repdrift.tasks.arrow_tables import ARROW, PARQUET
from repdrift.tasks.spec import Split

_STATE = "state.json"
_SPLITS = "dataset_dict.json"
_MODEL_FILES = ("config.json", "adapter_config.json")
_SHARDS = (*PARQUET, *ARROW, ".jsonl", ".csv", ".tsv")
_SPLIT_OF_NAME = re.compile(r"(train|validation|valid|val|dev|test|eval)(?![a-z])", re.IGNORECASE)
_PART_OF_SEVERAL = re.compile(r"(.*?)-?(\d+)-of-(\d+)(?!\d)")
_PREFERRED: dict[Split, tuple[str, ...]] = {
    "validation": ("validation", "valid", "val", "dev", "eval", "test"),
    "train": ("train",),
}


@dataclass(frozen=True)
class FolderFiles:
    """The files of a folder that make one table. how: in a few words which they are."""

    files: list[Path]
    how: str


def folder_files(folder: Path, split: Split) -> FolderFiles:
    """Finds the files of one split in a folder.

    A folder without splits is one table. Raises DataError that says what the folder holds if it is not data, or lacks the split.
    """
    if (folder / _SPLITS).is_file():
        names = [str(name) for name in _read(folder / _SPLITS).get("splits", [])]
        chosen = _chosen(folder, names, split)
        return FolderFiles(_saved(folder / chosen), _said(chosen, names))
    if (folder / _STATE).is_file():
        return FolderFiles(_saved(folder), "a saved data set")
    if any((folder / name).is_file() for name in _MODEL_FILES):
        raise DataError(
            f"{folder} is the folder of a model, not of data: give a file of texts, a data set's folder, or a built-in task"
        )
    for place in (folder, folder / "data"):
        shards = _shards(place)
        if shards:
            return _split_of(place, shards, split)
    below = sorted(place.name for place in folder.iterdir() if place.is_dir() and _shards(place))
    if below:
        raise DataError(
            f"{folder} has its files of data in folders of their own: give one of them ({listed(below[:6], last='or')})"
        )
    raise DataError(f"{folder} is a folder that holds no data: {_content(folder)}. {_EXPECTED}")


_EXPECTED = (
    "Expected a folder saved with save_to_disk (its state.json or dataset_dict.json), or one with shards "
    f"({', '.join(_SHARDS)}). For a folder with a folder of its own for each built-in task, give --data-dir FOLDER and the task's name."
)


def _shards(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in _SHARDS and not p.name.startswith(".")
    )


def _split_of(folder: Path, shards: list[Path], split: Split) -> FolderFiles:
    by_split: dict[str, list[Path]] = {}
    for path in shards:
        found = _SPLIT_OF_NAME.match(path.name)
        by_split.setdefault(found.group(1).lower() if found else "", []).append(path)
    how = ""
    if set(by_split) != {""}:
        if "" in by_split:
            raise DataError(
                f"{folder}: some files name a split ({listed([n for n in by_split if n])}) and others do not "
                f"({by_split[''][0].name}); give one file, or a folder of one kind"
            )
        chosen = _chosen(folder, list(by_split), split)
        shards, how = by_split[chosen], f"{_said(chosen, list(by_split))}, "
    endings = sorted({path.suffix.lower() for path in shards})
    if len(endings) > 1 or (endings[0] not in (*PARQUET, *ARROW) and len(shards) > 1):
        raise DataError(
            f"{folder} holds {counted(len(shards), 'file')} of data ({listed([p.name for p in shards[:4]])}"
            f"{', ...' if len(shards) > 4 else ''}): give one of them; only parquet and Arrow files are joined"
        )
    _require_all_parts(folder, shards)
    return FolderFiles(shards, f"{how}{counted(len(shards), 'file')}")


def _require_all_parts(folder: Path, shards: list[Path]) -> None:
    """Raises DataError if names such as train-00001-of-00003 tell of files that are not there, or of two sets of files."""
    found = [match for path in shards if (match := _PART_OF_SEVERAL.match(path.name))]
    series = sorted({f"{match[1]}-*-of-{match[3]}" for match in found})
    if len(series) > 1:
        raise DataError(f"{folder} holds the parts of several data sets ({listed(series[:4])}): keep one of them there")
    if not found:
        return
    numbers, count = {int(match[2]) for match in found}, int(found[0][3])
    first = 0 if 0 in numbers or count not in numbers else 1
    missing = [number for number in range(first, first + count) if number not in numbers]
    if missing:
        digits = len(found[0][2])
        named = f"{found[0][1]}-{missing[0]:0{digits}d}-of-{found[0][3]}"
        raise DataError(
            f"{folder} is not whole: of {counted(count, 'part')} {len(missing)} are not there, the first is {named}; fetch or save the data set again"
        )


def _chosen(folder: Path, names: list[str], split: Split) -> str:
    for name in _PREFERRED[split]:
        if name in names:
            return name
    if split == "validation" and len(names) == 1:
        return names[0]
    wanted = "training" if split == "train" else "evaluation"
    raise DataError(
        f"{folder} has no split for {wanted} ({listed(_PREFERRED[split], last='or')}), only {listed(names)}; give the folder of one split"
    )


def _said(chosen: str, names: list[str]) -> str:
    others = [name for name in names if name != chosen]
    return f"split {chosen!r}" + (f", not {listed(others)}" if others else "")


def _saved(folder: Path) -> list[Path]:
    """The files of a saved data set, in the order of its state file."""
    if not (folder / _STATE).is_file():
        raise DataError(f"{folder} is not whole: {_STATE} is not there; save the data set again")
    state = _read(folder / _STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise DataError(
            f"{folder} keeps a selection of rows apart from them (an old format): load it and save it again with save_to_disk"
        )
    names = [str(entry.get("filename")) for entry in state.get("_data_files") or [] if isinstance(entry, dict)]
    missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if missing or not names:
        raise DataError(
            f"{folder} is not whole: {listed(missing[:4]) if missing else 'its data files'} not there; save the data set again"
        )
    return [folder / name for name in names]


def _read(path: Path) -> dict[str, Any]:
    try:
        with reading_errors(path):
            content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}. Save the data set again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} should hold a JSON object, got {type(content).__name__}")
    return content


def _content(folder: Path) -> str:
    entries: Collection[Path] = sorted(folder.iterdir())
    if not entries:
        return "it is empty"
    shown = [f"{p.name}/" if p.is_dir() else p.name for p in entries][:5]
    return ", ".join(shown) + (f" and {len(entries) - 5} more" if len(entries) > 5 else "")
