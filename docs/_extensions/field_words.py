"""Fields of pydantic records in words: type, limits, default, and the description or the string below the field."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    dict: "mapping",
    Any: "any value",
}
_LIMITS = {
    "gt": "above",
    "ge": "at least",
    "lt": "below",
    "le": "at most",
    "max_length": "at most",
    "min_length": "at least",
}


def type_words(kind: Any) -> str:
    """Returns a type for a reader who writes YAML or reads JSON."""
    if kind in _NAMES:
        return _NAMES[kind]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, parts))
    inner = ["null" if part in (type(None), None) else type_words(part) for part in parts if part is not ...]
    if origin is Annotated:
        return inner[0]
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(inner))
    if origin is dict:
        return f"mapping from {inner[0]} to {inner[1]}"
    return f"list of {inner[0]}" if inner else getattr(kind, "__name__", str(kind))


def limits(field: FieldInfo) -> str:
    """Returns the limits of a number or the longest list; empty without any."""
    found: list[str] = []
    for each in field.metadata:
        for name, words in _LIMITS.items():
            value = getattr(each, name, None)
            if value is not None:
                unit = "" if not name.endswith("length") else " characters" if field.annotation is str else " entries"
                found.append(f"{words} {value:,}{unit}")
    return ", ".join(found)


def default_words(field: FieldInfo) -> str:
    """Returns the default, as a study file would write it; `required` without one."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if value is None:
        return "default null"
    if isinstance(value, bool):
        return f"default {str(value).lower()}"
    if isinstance(value, tuple | list):
        return f"default [{', '.join(map(str, value))}]"
    return f"default {value if value != {} else '{}'}"


def field_descriptions(record: type[BaseModel]) -> dict[str, str]:
    """Returns what each field is, by name: its description, or the string that stands below it. A field without either is left out."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if base is not BaseModel and isinstance(base, type) and issubclass(base, BaseModel):
            found |= _strings_below(base)
    return found | {name: field.description for name, field in record.model_fields.items() if field.description}


def _strings_below(record: type[BaseModel]) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(record))
    except (OSError, TypeError):  # made by a program, such as the overrides of training
        return {}
    (made,) = ast.parse(source).body
    pairs = zip(made.body, made.body[1:], strict=False) if isinstance(made, ast.ClassDef) else ()
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }  # fmt: skip


def records_within(record: type[BaseModel]) -> list[type[BaseModel]]:
    """Returns the record and every record that lies in its fields, each once, in the order in which a reader meets them."""
    found: list[type[BaseModel]] = []

    def walk(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind in found:
                return
            found.append(kind)
            for field in kind.model_fields.values():
                walk(field.annotation)
        for part in get_args(kind):
            walk(part)

    walk(record)
    return found
