"""Sections of a study's analysis on what moved, beside drift by layer: one file each, found through the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from repdrift.core.errors import RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.base import Record
from repdrift.core.records.study_info import RunStatus
from repdrift.core.records.what_moved import StudyMoved
from repdrift.core.registry import Registry
from repdrift.core.thread_limit import SMALL_WIDTH, one_thread
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.directions.shift_pairs import ShiftPairs
from repdrift.drift.task_sets import TaskSets

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StudyInputs:
    """All that a section may look at. tasks: the opened sets. table: the tidy table of drift at the residual stream. statuses: of every planned run.

    shift_pairs: the likeness of the models' shifts, of which several sections tell.
    """

    plan: DriftPlan
    tasks: Sequence[TaskSets]
    table: pd.DataFrame
    statuses: Sequence[RunStatus]
    shift_pairs: ShiftPairs = field(default_factory=ShiftPairs)


@dataclass(frozen=True)
class StudyFound:
    """A section's record, for the field of its name in `StudyMoved`, and its tables by file name, which ends in .csv or .parquet."""

    record: Record
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class StudySection:
    """A section. name: as in the study file's `analysis:`. measure: a RepdriftError is the reason why it is left out.

    table_files: names of all files that it may write, so that those of an earlier analysis can be removed.
    """

    name: str
    order: int
    table_files: tuple[str, ...]
    measure: Callable[[StudyInputs], StudyFound]


_REGISTRY: Registry[StudySection] = Registry("section of a study", "repdrift.drift.what_moved")


def register(section: StudySection) -> StudySection:
    """Registers a section."""
    return _REGISTRY.add(section.name, section)


def registered_sections() -> list[StudySection]:
    """All sections, in the order of the report."""
    return sorted(_REGISTRY, key=lambda section: section.order)


def measure_sections(inputs: StudyInputs) -> tuple[StudyMoved | None, dict[str, pd.DataFrame]]:
    """Measures the sections that the plan names. Returns the record, None if it names none, and the tables by file name.

    A section that cannot be measured is left out with its reason.
    """
    chosen = [section for section in registered_sections() if section.name in inputs.plan.sections]
    if not chosen:
        return None, {}
    widest = max((sets.base.metadata.shape[1] for sets in inputs.tasks), default=0)
    records: dict[str, Record] = {}
    left_out: dict[str, str] = {}
    tables: dict[str, pd.DataFrame] = {}
    for section in chosen:
        say(f"what moved: {section.name}")
        try:
            with one_thread(small=widest <= SMALL_WIDTH):
                found = section.measure(inputs)
        except RepdriftError as error:
            left_out[section.name] = str(error)
        else:
            records[section.name] = found.record
            tables |= found.tables
    return StudyMoved(left_out=left_out, **records), tables  # pyright: ignore[reportArgumentType]
