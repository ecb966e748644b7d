"""Command-line options made from the documented fields of an option model, so that each is described and checked once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.option_names import MIB, counts_bytes, option_name
from repdrift.core.validation import Fault, located_faults

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class FieldOption:
    """The option of one field. A value of None, or no value at all, means that the option was not given."""

    field: str
    info: FieldInfo

    @property
    def flag(self) -> str:
        """Name on the command line, such as `--compute-dtype`."""
        return option_name(self.field)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that the field allows; empty if it allows more than a fixed list."""
        return get_args(self._kind) if get_origin(self._kind) is Literal else ()

    @property
    def least(self) -> int | float | None:
        """The smallest number that may be given; None if there is no limit."""
        limits = [limit.ge for limit in self.info.metadata if isinstance(limit, Ge)]
        if not limits:
            return None
        return limits[0] // MIB if self.in_mib else limits[0]  # pyright: ignore[reportOperatorIssue, reportReturnType]

    @property
    def help(self) -> str:
        """The field's description, and the values that it allows."""
        text = self.info.description or ""
        if (self._is_list or self._is_mapping) and "repeated" not in text:
            text += " The option may be repeated."
        unnamed = [choice for choice in self.choices if choice not in text]
        return f"{text} One of: {', '.join(self.choices)}." if unnamed else text

    @property
    def _kind(self) -> Any:
        """The field's type without None, and without what pydantic is told of it."""
        annotation = self.info.annotation
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        kind = kinds[0] if NoneType in get_args(annotation) else annotation
        return get_args(kind)[0] if get_origin(kind) is Annotated else kind

    @property
    def _element(self) -> Any:
        """The type of a list's entries, as the command line reads them; the model holds them to their choices."""
        entry = get_args(self._kind)[0]
        return str if get_origin(entry) is Literal else entry

    @property
    def _is_list(self) -> bool:
        return get_origin(self._kind) is tuple

    @property
    def _is_mapping(self) -> bool:
        return get_origin(self._kind) is dict

    @property
    def in_mib(self) -> bool:
        """Tells whether the option is given in MiB where the field counts bytes."""
        return counts_bytes(self.field)

    def parameter(self, unless_given: str, panel: str) -> inspect.Parameter:
        """A parameter of a typer command. unless_given: words before the default; panel: title of its box in the help."""
        default = self.info.get_default() or None if self._is_mapping else self.info.get_default()
        shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
        words = f"{unless_given} {'null' if shown is None else shown}" if unless_given else str(shown)
        option = typer.Option(
            f"{self.flag}/{self.flag.replace('--', '--no-', 1)}" if self._kind is bool else self.flag,
            help=self.help,
            metavar="<MiB>" if self.in_mib else "NAME=VALUE" if self._is_mapping else None,
            min=self.least,
            show_default=False if words == "None" else words,
            rich_help_panel=panel,
        )
        kind = str if self.choices else list[self._element] if self._is_list else self._kind
        kind = list[str] if self._is_mapping else kind
        return inspect.Parameter(
            self.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
        )

    def value(self, given: Any) -> Any:
        """The field's value from what the command line gives."""
        if self._is_list:
            return tuple(given)
        if self._is_mapping:
            return dict(self._entry(text) for text in given or ())
        return given * MIB if self.in_mib else given

    def _entry(self, text: str) -> tuple[str, str]:
        """Returns name and value of `NAME=VALUE`. Raises ConfigError for a text without them."""
        name, sign, value = text.rpartition("=")
        if not (name and sign and value):
            raise ConfigError(f"{self.flag}: expected NAME=VALUE, such as mrpc=0.8; got {text!r}")
        return name, value


def field_options(model: type[BaseModel]) -> list[FieldOption]:
    """The options of a model's fields, in the order of the model."""
    return [FieldOption(name, info) for name, info in model.model_fields.items()]


def with_field_options(
    model: type[BaseModel], into: str, *, panel: str, unless_given: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a typer command the options of a model's fields, in place of its parameter `into`.

    The command receives there a dict of the fields that were given on the command line. Its parameters are keyword-only.
    panel: title of the box that holds them in the help. unless_given: what the help says before each default, such as
    `the study's, or`.
    """
    options = field_options(model)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == into:
                parameters += [option.parameter(unless_given, panel) for option in options]
            else:
                parameters.append(parameter.replace(annotation=hints[parameter.name]))

        @functools.wraps(command)
        def wrapper(**arguments: Any) -> None:
            found = {option.field: (option, arguments.pop(option.field)) for option in options}
            given = {name: option.value(value) for name, (option, value) in found.items() if value not in (None, [])}
            command(**arguments, **{into: given})

        # typer reads the parameters from these two.
        wrapper.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def changed(options: Model, given: Mapping[str, Any]) -> Model:
    """`options` with the fields in `given` replaced; its `model_fields_set` has what was named, there or here. Raises ConfigError that lists every fault by the option's name."""
    try:
        return type(options).model_validate({**options.model_dump(exclude_unset=True), **given})
    except ValidationError as error:
        known = {option.field: option for option in field_options(type(options))}
        found = located_faults(error, type(options))
        faults = [
            _in_words(known[str(fault.place[0])], given, fault) if fault.place else fault.words for fault in found
        ]
        raise ConfigError("; ".join(faults)) from error


def _in_words(option: FieldOption, given: Mapping[str, Any], fault: Fault) -> str:
    if option.choices:
        return f"{option.flag}: {UnknownNameError.of('value', given[option.field], option.choices)}"
    return f"{option.flag}: {fault.words}"
