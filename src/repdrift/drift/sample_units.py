"""Units that are drawn anew where samples are: single samples, or whole groups of them such as paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.words import counted, listed


@dataclass(frozen=True)
class SampleUnits:
    """The units of one task's draws.

    n_groups: groups that are drawn or left out whole; None: each sample stands alone. unit: a group in one word. freedom: degrees of freedom
    of the jackknife over groups, and of a resample of groups; None: as many as there are draws, less 1. corrected: whether intervals are
    corrected for the pull that alike samples have on the measure. missing: the reason, as a clause, why nothing is drawn; None: it is.
    """

    n_groups: int | None = None
    unit: str = "group"
    freedom: float | None = None
    resampled_freedom: float | None = None
    corrected: bool = False
    missing: str | None = None


ALONE = SampleUnits()
"""Samples that stand alone."""


def method_words(method: str, units: Sequence[SampleUnits]) -> str:
    """The method of an interval with the groups that it is over: `jackknife over 31 paragraphs`. units: one for each task it is about."""
    grouped = [counted(of.n_groups, of.unit) for of in units if of.n_groups is not None]
    if not grouped:
        return method
    single = ["the single samples of other tasks"] if len(grouped) < len(units) else []
    return f"{method} over {listed([*grouped, *single])}"
