"""Fields of a study that the command line sets in place of the study file: `--set training.all.epochs=1`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from repdrift.core.errors import ConfigError
from repdrift.study.given_study import OPTION
from repdrift.study.yaml_file import parse_yaml

_PART = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>[^."=\[\]]+)')


@dataclass(frozen=True)
class Override:
    """One field and its value. path: keys, and positions in lists as their digits. text: as it was given."""

    path: tuple[str, ...]
    value: Any
    text: str

    @property
    def dotted(self) -> str:
        """The path as it is written."""
        return dotted(self.path)


def dotted(path: Sequence[str]) -> str:
    """A path as it is written: parts with a dot between them, those that hold one in quotes."""
    return ".".join(f'"{part}"' if re.search(r'[.="\[\]\s]', part) else part for part in path)


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Returns the overrides in texts such as `training.all.epochs=1`; values are YAML.

    Raises ConfigError for a text that is none, for a field that is given twice, and for one that lies in another.
    """
    found: list[Override] = []
    for text in texts:
        override = _parsed(text)
        for other in found:
            shorter = min(len(other.path), len(override.path))
            if other.path == override.path:
                raise ConfigError(
                    f"{OPTION}: {override.dotted} is given twice, as {other.text!r} and {text!r}; give one of them"
                )
            if other.path[:shorter] == override.path[:shorter]:
                raise ConfigError(
                    f"{OPTION}: {other.text!r} and {text!r} set the same field, one of them a part of it; write both in one value"
                )
        found.append(override)
    return found


def _parsed(text: str) -> Override:
    parts: list[str] = []
    at = 0
    while True:
        part = _PART.match(text, at)
        if part is None:
            raise ConfigError(
                f"{OPTION}: expected FIELD=VALUE, such as training.all.epochs=1 or seeds=[1,2]; got {text!r}"
            )
        parts.append(part["quoted"] if part["plain"] is None else part["plain"].strip())
        at = part.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    if text[at : at + 1] != "=" or "" in parts:
        raise ConfigError(f"{OPTION}: expected FIELD=VALUE, such as training.all.epochs=1 or seeds=[1,2]; got {text!r}")
    given = text[at + 1 :]
    if not given.strip():
        raise ConfigError(f"{OPTION}: {dotted(parts)} has no value; write null for none, or '' for an empty text")
    return Override(tuple(parts), parse_yaml(given, where=f"{OPTION} {dotted(parts)}"), text)


def with_overrides(
    content: Any, overrides: Sequence[Override], *, where: str, usual: Mapping[str, Sequence[Any]]
) -> Any:
    """Returns the content of a study file with the overrides in it; `content` stays as it is. where: the file, for messages. usual: the lists that
    a file may leave out.

    What no study can have is found when the whole is read, as in a file. Raises ConfigError for a
    position that a list does not have, and for a field below a value that has none.
    """
    if not overrides or not isinstance(content, dict):
        return content
    changed = deepcopy(cast("dict[str, Any]", content))
    for override in overrides:
        _set(changed, override, where, usual)
    return changed


def _set(content: dict[str, Any], override: Override, where: str, usual: Mapping[str, Sequence[Any]]) -> None:
    at: Any = content
    for depth, part in enumerate(override.path):
        is_last = depth == len(override.path) - 1
        above = override.path[:depth]
        if isinstance(at, dict):
            key = _key(at, part)
            if is_last:
                at[key] = override.value
            elif at.get(key) is None:
                at[key] = list(usual.get(part, ())) if not above and part in usual else {}
            at = at[key]
        elif isinstance(at, list):
            number = _position(at, part, above, where)
            if is_last:
                at[number] = override.value
            at = at[number]
        else:
            raise ConfigError(
                f"{OPTION} {override.dotted}: {dotted(above)} in {where} is {at!r}, which has no {part!r}. Set it whole: {OPTION} "
                f"{shlex.quote(f'{dotted(above)}={{{part}: ...}}')}"
            )


def _key(mapping: Mapping[Any, Any], part: str) -> Any:
    """The key of a mapping that is written as `part`: YAML makes numbers of some."""
    return next((key for key in mapping if str(key) == part), part)


def _position(values: Sequence[Any], part: str, above: Sequence[str], where: str) -> int:
    if part.isdecimal() and int(part) < len(values):
        return int(part)
    shown = ", ".join(f"{number}: {_named(value)}" for number, value in enumerate(values))
    raise ConfigError(
        f"{OPTION} {dotted([*above, part])}: {dotted(above)} in {where} is a list; name a position of it ({shown})"
    )


def _named(value: Any) -> str:
    return str(value.get("name", "...")) if isinstance(value, dict) else str(value)
