"""The faults that pydantic finds in a configuration, as sentences for the person who wrote it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from repdrift.core.errors import nearest_name
from repdrift.core.hidden_secrets import shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_KEY_MARK = "[key]"
"""Pydantic's last part of the place of a fault that is in a key of a mapping."""
_EXPECTED = {
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "invalid_key": "a text as the key; put it in quotes",
}
"""Words for what pydantic calls by the names of Python's types."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong: keys and list positions that lead to it, and what is wrong."""

    place: tuple[str | int, ...]
    words: str

    def __str__(self) -> str:
        where = ".".join(str(part) if part != "" else "''" for part in self.place)
        return f"{where}: {self.words}" if where else self.words


def validation_faults(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every fault in words, `where: what is wrong (got ...)`, with the nearest key of `model` for an unknown one."""
    return [str(fault) for fault in located_faults(error, model)]


def located_faults(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Every fault with its place. Where a value may have several forms, only the faults of the form that was meant are given."""
    details = error.errors()
    places = [_place(detail["loc"], model) for detail in details]
    found: list[Fault] = []
    for detail, place in zip(details, places, strict=True):
        if place.form_at is None:
            found.append(Fault(place.keys, _words(detail, model)))
            continue
        of_value = [
            (other, d)
            for other, d in zip(places, details, strict=True)
            if other.form_at == place.form_at and other.keys[: place.form_at] == place.keys[: place.form_at]
        ]
        deepest = [d for other, d in of_value if other.is_inside_form]
        if place.is_inside_form:  # this form fits so far that something in it is wrong
            found.append(Fault(place.keys, _words(detail, model)))
        elif not deepest and detail is of_value[0][1]:
            found.append(Fault(place.keys, _none_fits([d for _, d in of_value])))
    return found


@dataclass(frozen=True)
class _Place:
    """Keys without the names of forms. form_at: the number of keys before the value that has several forms; None: no such value."""

    keys: tuple[str | int, ...]
    form_at: int | None
    is_inside_form: bool


def _place(loc: Sequence[str | int], model: type[BaseModel]) -> _Place:
    """Takes the names of union members out of the place that pydantic gives."""
    keys: list[str | int] = []
    form_at, annotation, is_form = None, model, False
    for part in loc:
        if part == _KEY_MARK:
            continue
        members = _members(annotation)
        if len(members) > 1 and not is_form:
            form_at, is_form = len(keys), True
            annotation = next((member for member in members if getattr(member, "__name__", None) == part), Any)
            continue
        is_form = False
        keys.append(part)
        annotation = _below(members[0] if members else Any, part)
    return _Place(tuple(keys), form_at, form_at is not None and len(keys) > form_at)


def _members(annotation: Any) -> list[Any]:
    """The forms that a value may have, without None."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [inner for kind in get_args(annotation) if kind is not NoneType for inner in _members(kind)]
    return [annotation]


def _below(annotation: Any, part: str | int) -> Any:
    """The annotation of what lies below a key or position."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field is not None else Any
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[-1] if arguments else Any  # of a mapping the value; of a list the item


def _none_fits(details: Sequence[ErrorDetails]) -> str:
    forms = list(dict.fromkeys(_EXPECTED.get(detail["type"], detail["msg"]) for detail in details))
    return f"expected {' or '.join(forms)} (got {_SHORT.repr(shown(details[0]['input']))})"


def _words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, detail["loc"][:-1])
        near = nearest_name(detail["loc"][-1], known)
        return "unknown key; " + (f"did you mean {near!r}?" if near else f"known: {', '.join(known)}")
    got = "" if detail["type"] in {"missing", "value_error"} else f" (got {_SHORT.repr(shown(detail['input']))})"
    if detail["type"] in _EXPECTED:
        return f"expected {_EXPECTED[detail['type']]}{got}"
    return f"{detail['msg'].removeprefix('Value error, ').rstrip('.')}{got}"


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
