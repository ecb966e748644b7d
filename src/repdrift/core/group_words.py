"""Groups of samples in words: samples of one group, such as questions about one paragraph, are no independent draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from repdrift.core.words import counted

LEAST_GROUPS = 10
"""The fewest groups of which an interval is made."""


def is_grouped(groups: Sequence[str] | None) -> bool:
    """True if some samples share a group; groups of one sample each are none."""
    return groups is not None and len(set(groups)) < len(groups)


def too_few_groups(n_groups: int, unit: str) -> str:
    """The reason, as a clause, why samples of so few groups have no interval."""
    return f"the samples come from {counted(n_groups, unit)}, and an interval needs {LEAST_GROUPS} at least"


def no_interval_because(groups: Sequence[str] | None, unit: str) -> str | None:
    """The reason, as a clause, why drifts of samples in these groups have no interval; None if they can have one.

    Where one group holds more than half of the samples, drift without it is of other samples, and its variance has hardly one degree of freedom.
    """
    if groups is None or not is_grouped(groups):
        return None
    sizes = Counter(groups)
    if len(sizes) < LEAST_GROUPS:
        return too_few_groups(len(sizes), unit)
    largest = max(sizes.values())
    if 2 * largest > len(groups):
        return f"one of {counted(len(sizes), unit)} holds {largest} of the {len(groups)} samples, so an interval would rest on that one alone"
    return None


def group_notes(groups: Sequence[str] | None, unit: str) -> list[str]:
    """Sentences on how samples hang together; none if each stands alone."""
    if groups is None or not is_grouped(groups):
        return []
    n_groups = len(set(groups))
    of = f"The {len(groups)} samples come from {counted(n_groups, unit)}"
    if n_groups < LEAST_GROUPS:
        return [f"{of}: intervals over samples need {LEAST_GROUPS} at least, so there are none."]
    if (reason := no_interval_because(groups, unit)) is not None:
        return [f"{of}. Drift has no interval over samples: {reason}."]
    return [f"{of}: intervals over samples leave out, or draw, whole {unit}s."]
