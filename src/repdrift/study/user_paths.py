"""Paths as a user writes them in a study file or on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_VARIABLE = re.compile(r"\$\w|\$\{")


def not_empty(value: object) -> object:
    """Returns a value that is no empty text. Raises ValueError for one."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty; give a path (. is the working folder), or leave the key out")
    return value


def user_path(path: Path) -> Path:
    """Returns a path with the home folder in place of `~`. Raises ValueError for a variable, such as $HOME, which is not filled in."""
    expanded = path.expanduser()
    variable = next((part for part in expanded.parts if _VARIABLE.search(part)), None)
    if variable is not None and not expanded.exists():
        raise ValueError(
            f"{str(path)!r} holds {variable!r}: variables are not filled in. Write the path out, or begin it with ~ for the home folder"
        )
    return expanded


def user_text(text: str) -> str:
    """A path that may be another name as well: a hub id, or a packaged thing."""
    return str(user_path(Path(text))) if text.startswith("~") or _VARIABLE.search(text) else text


UserPath = Annotated[Path, BeforeValidator(not_empty), AfterValidator(user_path)]
UserText = Annotated[str, AfterValidator(user_text)]
