"""The key `outcomes:` of a study file: which outcomes are measured, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.outcomes.outcome import outcomes


def chosen_outcomes(given: object) -> dict[str, dict[str, Any]]:
    """Returns the options of every outcome that the study measures, by its name, in the order of the registry.

    given: what stands in the study file. Nothing: the usual outcomes. False or an empty list: none. A list of names: these. A
    mapping: the usual ones with changes, where a name may have True, False or its options behind it.
    Raises ConfigError for another kind of value or options that an outcome does not take, UnknownNameError for a name.
    """
    if given is None or given is True:
        wanted: dict[str, object] = dict.fromkeys(_usual(), True)
    elif given is False:
        wanted = {}
    elif isinstance(given, Mapping):
        wanted = {**dict.fromkeys(_usual(), True), **{_known(name): value for name, value in given.items()}}
    elif isinstance(given, Sequence) and not isinstance(given, str):
        wanted = {_known(name): True for name in given}
        if len(wanted) != len(given):
            raise ConfigError(f"outcomes: a name stands twice in {list(given)}")
    else:
        raise ConfigError(f"outcomes: expected a list of names, or names with their options; got {given!r}")
    return {
        outcome.name: outcome.options(True if wanted[outcome.name] is None else wanted[outcome.name])
        for outcome in outcomes
        if wanted.get(outcome.name, False) is not False
    }


def _usual() -> list[str]:
    return [outcome.name for outcome in outcomes if outcome.usual]


def _known(name: object) -> str:
    if name not in outcomes:
        raise UnknownNameError.of("outcome", name, outcomes.names())
    return str(name)
