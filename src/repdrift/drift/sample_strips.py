"""Texts token by token of the final models of a study, as their outcomes keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.reading import stands_there
from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, RunOutcomes
from repdrift.core.records.sample_moves import SeedStrip
from repdrift.core.words import method_title, some_listed
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.outcomes.outcome_files import record_path

_OUTPUTS, _KL = "outputs", "output_kl"
_SHOWN = 3
"""Texts of each kind that are shown of a method."""


@dataclass(frozen=True)
class TaskStrips:
    """Texts whose predictions changed most, by method, and sentences on those that are missing."""

    by_method: dict[str, list[SeedStrip]]
    notes: list[str]


def task_strips(plan: DriftPlan, task: str) -> TaskStrips:
    """Reads the strips of one task's final models. Of each method it takes the texts that changed most, each text of one seed alone.

    The records are known to be of these models. Raises DataError for one that cannot be read.
    """
    found: dict[str, list[SeedStrip]] = {}
    without: list[str] = []
    for planned in plan.outcomes:
        path = record_path(planned.folder, _OUTPUTS)
        if planned.task != task or planned.step or _OUTPUTS not in planned.names or not stands_there(path):
            continue
        record = RunOutcomes.read(path)
        if record.strips is not None:
            found.setdefault(planned.method, []).extend(SeedStrip(seed=planned.seed, strip=s) for s in record.strips)
        elif any(info.name == _KL for info in record.outcomes):
            without.append(f"{method_title(planned.method)} seed {planned.seed}")
    if not plan.sample_texts:
        return TaskStrips({}, [])
    return TaskStrips({method: _most(strips) for method, strips in found.items()}, _missing(without))


def _most(strips: Sequence[SeedStrip]) -> list[SeedStrip]:
    kept: list[SeedStrip] = []
    for inputs in (ON_TASK, ON_GENERAL_TEXT):
        first: dict[str, SeedStrip] = {}
        for of in sorted((of for of in strips if of.strip.inputs == inputs), key=lambda of: -of.strip.mean):
            first.setdefault(of.strip.sample, of)
        kept += list(first.values())[:_SHOWN]
    return kept


def _missing(without: Sequence[str]) -> list[str]:
    if not without:
        return []
    return [
        f"Tokens that are predicted otherwise are not shown of {some_listed(without, most=6)}: their outcomes were measured without texts, by an older version, over too many "
        "tokens, or in a pass that went on after a stop. Without its file outputs.json, `repdrift evaluate` measures and keeps them."
    ]
