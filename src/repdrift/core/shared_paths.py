"""Paths in texts that are meant for other people: without the folders of this machine that lead to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

_START = r"(?<![\w.:/~…-])"  # not inside a relative path, a hub id, or an address such as https://host/x
_PART = r"[^\s\\/'\"<>|:;,()\[\]{}]+"
_ABSOLUTE = re.compile(rf"{_START}(?:/{_PART}|[A-Za-z]:[\\/]{_PART})(?:[\\/]{_PART})+[\\/]?")
_WITH_SPACES = re.compile(rf"{_START}(?:/{_PART}(?: {_PART})*)+")
_KEPT_PARTS = 2

R = TypeVar("R", bound=BaseModel)


def shared_path(path: str) -> str:
    """A path as other people may see it: relative to the working folder, or the last two parts of one outside of it.

    A relative path, a hub id or a name such as `packaged:minilm` stays as it is.
    """
    written = path.replace("\\", "/")
    expanded = written.startswith("~/")
    if not (written.startswith("/") or expanded or re.match(r"[A-Za-z]:/", written)):
        return path
    whole = Path(written).expanduser()
    for folder in (Path.cwd(), Path.cwd().resolve()):
        if whole == folder:
            return "."
        if folder != Path(folder.anchor) and whole.is_relative_to(folder):
            return whole.relative_to(folder).as_posix()
    parts = [part for part in written.split("/") if part]
    return "/".join(["…", *parts[-_KEPT_PARTS:]]) if len(parts) > _KEPT_PARTS else written


def with_shared_paths(text: str) -> str:
    """Returns `text` with every absolute path in it written as `shared_path` does.

    Only what begins with a folder of this machine is taken for a path: texts with slashes stay as they are.
    """
    if "/" not in text and "\\" not in text:
        return text
    known = _WITH_SPACES.sub(lambda found: _shared_beginning(found[0]), text)
    return _ABSOLUTE.sub(lambda found: _shared(found[0]), known)


def shareable(record: R, *, kept: frozenset[str] = frozenset()) -> R:
    """Returns `record` with absolute paths shortened in all its texts, but for the fields named in `kept`."""
    return type(record).model_validate(_walked(record.model_dump(), kept))


def _shared_beginning(text: str) -> str:
    """Shortens the longest beginning of `text` that is a path with a space in it, and is there on the disk."""
    end = len(text)
    while " " in (path := text[:end].rstrip(".")):
        if Path(path).exists():
            return shared_path(path) + text[len(path) :]
        end = max(path.rfind(" "), path.rfind("/"))
    return text


def _shared(path: str) -> str:
    bare = path.rstrip(".")
    first = Path(bare).parts[:2]
    return shared_path(bare) + path[len(bare) :] if Path(*first).exists() or ":" in bare[:2] else path


def _walked(value: Any, kept: frozenset[str]) -> Any:
    if isinstance(value, str):
        return with_shared_paths(value)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {key: item if key in kept else _walked(item, kept) for key, item in fields.items()}
    if isinstance(value, (list, tuple)):
        return [_walked(item, kept) for item in cast("list[Any]", value)]
    return value
