"""Sentences on samples that come in groups: intervals that are missing for it, and drifts that it pulls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from repdrift.core.group_words import group_notes
from repdrift.core.records.representation_set import SetMetadata
from repdrift.core.words import percent, task_title
from repdrift.drift.sample_units import SampleUnits

_LEAST_PULL = 0.05
"""Share of a drift below which the pull of alike samples is not spoken of: it is then within the noise of its estimate."""


def group_cautions(units: Mapping[str, SampleUnits], pull: Mapping[str, Sequence[float]]) -> list[str]:
    """Returns the cautions on tasks whose samples come in groups. units: what is drawn, by task. pull: see `Measured.pull`."""
    found: list[str] = []
    for task, of in units.items():
        if of.missing is not None:
            found.append(
                f"Task {task_title(task)} has no interval over samples, and ranks of layers have none for methods that were trained on it: {of.missing}."
            )
        elif said := pull_words(pull.get(task, ()), of.unit):
            found.append(f"Task {task_title(task)}: {said}")
    return found


def pull_words(shares: Sequence[float], unit: str) -> str | None:
    """A sentence on drifts that are off because the samples of a group are alike; None if they are hardly so.

    shares: by how much of itself each drift is off, as `group_pull` tells; the median counts.
    """
    known = [share for share in shares if math.isfinite(share)]
    if not known or abs(share := median(known)) < _LEAST_PULL:
        return None
    way = "smaller" if share < 0 else "larger"
    return (
        f"samples of one {unit} are alike, which makes drifts about {percent(abs(share))} {way} than those of samples that stand alone would be "
        f"(median over models and layers, by the jackknife over {unit}s). Intervals are corrected for that and need not lie around the drift. "
        "All models share it, so that comparisons of them stand."
    )


def data_notes(metadata: SetMetadata) -> list[str]:
    """Returns the sentences on how the samples of a set were read, with those on its groups, which a set of an older version got later."""
    notes = list(metadata.extraction.get("data_notes") or [])
    return notes + [
        note for note in group_notes(metadata.sample_groups, metadata.sample_group_unit) if note not in notes
    ]
