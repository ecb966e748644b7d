"""Which measures can be asked for where representations are compared, and what drift is under each."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.errors import ConfigError, UnknownNameError, nearest_name
from repdrift.similarity import descriptors, measure, measures


def require_measures(names: Sequence[str]) -> None:
    """Raises UnknownNameError for a name that is no measure of representations, ConfigError for one that stands twice."""
    for number, name in enumerate(names):
        if name not in measures("representations"):
            raise UnknownNameError(f"{_fault(name)} `repdrift measures` lists the measures.")
        if name in names[:number]:
            raise ConfigError(f"measure {name!r} stands twice")


def drift_is(name: str) -> str:
    """What drift is under a measure: `1 - CKA, linear, debiased`, or a distance's title."""
    m = measure(name)
    return f"1 - {m.title}" if m.higher_is_similar else m.title


def _fault(name: str) -> str:
    if name in measures("predictions"):
        return f"{name!r} is a measure of predictions (logits), and here representations are compared."
    if name in descriptors():
        return f"{name!r} describes one representation, and here two are compared."
    near = nearest_name(name, measures("representations"))
    hint = f" Did you mean {near!r}?" if near else ""
    return f"unknown measure of representations {name!r}.{hint}"
