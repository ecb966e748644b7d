"""Measures that have no value somewhere, and why, in as few sentences as that takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from repdrift.core.errors import DegenerateInputError

Reasons = dict[int, str]
"""By layer."""


def why(error: DegenerateInputError) -> str:
    """The reason by itself where it does not lie in the data of one set, else with the place that was put before it."""
    cause = error.__cause__
    return str(cause) if cause is not None and "more samples than features" in str(cause) else str(error)


def without_value(
    found: Mapping[tuple[str, str], Reasons], layers: Sequence[int], *, preposition: str = "on"
) -> list[str]:
    """Sentences from the reasons by task (or model) and measure; measures that share a reason share a sentence."""
    by_measure: dict[str, dict[str, Reasons]] = defaultdict(dict)
    for (where, name), reasons in found.items():
        by_measure[name][where] = reasons
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, by_place in by_measure.items():
        by_layers: dict[str, list[str]] = defaultdict(list)
        for where, reasons in by_place.items():
            by_layers[_layers(list(reasons), layers)].append(where)
        places = "; ".join(f"{preposition} {', '.join(where)} {at}" for at, where in by_layers.items())
        reason = next(iter(next(iter(by_place.values())).values()))
        names[places, reason].append(name)
    return [
        f"No value of {', '.join(measures)} {places}: {reason.rstrip('.')}."
        for (places, reason), measures in names.items()
    ]


def _layers(missing: Sequence[int], layers: Sequence[int]) -> str:
    if set(missing) == set(layers):
        return "in any layer"
    return f"in layer{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
