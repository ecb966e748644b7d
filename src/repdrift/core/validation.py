"""The faults that pydantic finds in a configuration, as sentences for the person who wrote it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from repdrift.core.errors import nearest_name
from repdrift.core.hidden_secrets import shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def validation_faults(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every fault in words, `where: what is wrong (got ...)`, with the nearest key of `model` for an unknown one."""
    return [_fault(fault, model) for fault in error.errors()]


def _fault(fault: ErrorDetails, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(model, fault["loc"][:-1])
        near = nearest_name(fault["loc"][-1], known)
        return f"{where}: unknown key; " + (f"did you mean {near!r}?" if near else f"known: {', '.join(known)}")
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    got = "" if fault["type"] in {"missing", "value_error"} else f" (got {_SHORT.repr(shown(fault['input']))})"
    return f"{where}: {message}{got}" if where else f"{message}{got}"


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Keys that are allowed at `path`, which pydantic writes with list positions, dict keys and names of union members."""
    sections = [model]
    for part in path:
        fields = [section.model_fields[part] for section in sections if part in section.model_fields]
        if fields:
            sections = [inner for field in fields for inner in _models_in(field.annotation)]
        else:  # a position or a dict key leaves the section as it is; a union's member narrows it
            sections = [section for section in sections if section.__name__ == part] or sections
    return list(dict.fromkeys(name for section in sections for name in section.model_fields))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
