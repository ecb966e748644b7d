"""The measures of a comparison: which may be chosen, what drift is by each, and where a measure has no value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from repdrift.core.errors import ConfigError, DegenerateInputError, UnknownNameError, nearest_name
from repdrift.core.words import layers_named, some_listed
from repdrift.similarity import descriptors, measure, measures

Reasons = dict[int, str]
"""By layer: why a measure has no value there."""


def require_measures(names: Sequence[str]) -> None:
    """Raises UnknownNameError for a name that is no measure of representations, ConfigError for one that stands twice."""
    for number, name in enumerate(names):
        if name not in measures("representations"):
            raise UnknownNameError(f"{_fault(name)} `repdrift measures` lists the measures.")
        if name in names[:number]:
            raise ConfigError(f"measure {name!r} stands twice")


def drift_is(name: str) -> str:
    """Returns in words what drift is by a measure: `1 - CKA, linear, debiased`, or a distance's title."""
    m = measure(name)
    return f"1 - {m.title}" if m.higher_is_similar else m.title


def why(error: DegenerateInputError) -> str:
    """Returns the reason without the sets' names if it holds for all sets, else with them."""
    cause = error.__cause__
    return str(cause) if cause is not None and "more samples than features" in str(cause) else str(error)


def without_value(
    found: Mapping[tuple[str, str], Reasons], layers: Sequence[int], *, preposition: str = "on"
) -> list[str]:
    """Returns the reasons, given by task (or model) and measure, as sentences. Measures with one reason share a sentence."""
    by_measure: dict[str, dict[str, Reasons]] = defaultdict(dict)
    for (where, name), reasons in found.items():
        by_measure[name][where] = reasons
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, by_where in by_measure.items():
        by_layers: dict[str, list[str]] = defaultdict(list)
        for where, reasons in by_where.items():
            missing = "any layer" if set(reasons) == set(layers) else layers_named(list(reasons))
            by_layers[missing].append(where)
        without = "; ".join(f"{preposition} {_shown(where)} in {missing}" for missing, where in by_layers.items())
        reason = next(iter(next(iter(by_where.values())).values()))
        names[without, reason].append(name)
    return [
        f"No value of {', '.join(measures)} {without}: {reason.rstrip('.')}."
        for (without, reason), measures in names.items()
    ]


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 3 else f"{len(names)} of them ({some_listed(names)})"


def _fault(name: str) -> str:
    if name in measures("predictions"):
        return f"{name!r} is a measure of predictions (logits), and here representations are compared."
    if name in descriptors():
        return f"{name!r} describes one representation, and here two are compared."
    near = nearest_name(name, measures("representations"))
    hint = f" Did you mean {near!r}?" if near else ""
    return f"unknown measure of representations {name!r}.{hint}"
