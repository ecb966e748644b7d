"""All that an analysis says of outcomes: two tables, and the record of arms, flips and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from repdrift.core.records.outcomes import ITEM_COLUMNS, StudyOutcomes
from repdrift.core.records.study_info import RunStatus
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.measured_outcomes.arm_differences import arm_differences
from repdrift.drift.measured_outcomes.arms import arm_outcomes
from repdrift.drift.measured_outcomes.flips import all_flips
from repdrift.drift.measured_outcomes.reading import FoundOutcomes, find_outcomes
from repdrift.drift.measured_outcomes.table import outcome_table
from repdrift.drift.task_sets import TaskSets


@dataclass(frozen=True)
class OutcomeTables:
    """The outcomes of a study. items, table: in the columns of ITEM_COLUMNS and OUTCOME_COLUMNS."""

    items: pd.DataFrame
    table: pd.DataFrame
    found: StudyOutcomes


def study_outcomes(plan: DriftPlan, tasks: Sequence[TaskSets], statuses: Sequence[RunStatus]) -> OutcomeTables | None:
    """Returns the outcomes of all runs; None if none was measured. Raises what find_outcomes() raises."""
    read = find_outcomes(plan.outcomes, tasks, statuses)
    return None if read is None else tables_of_outcomes(plan, read, statuses)


def tables_of_outcomes(plan: DriftPlan, read: FoundOutcomes, statuses: Sequence[RunStatus]) -> OutcomeTables:
    """Returns all that is said of outcomes whose items were read."""
    confidence = plan.sampling.confidence
    learnt = {
        (s.task, s.method, s.seed): s.learnt.learnt if s.learnt is not None else None for s in statuses if s.step == 0
    }
    items = read.items[list(ITEM_COLUMNS)]
    shares = {name for name, info in read.infos.items() if info.unit.startswith("share")}
    arms = arm_outcomes(
        items, learnt, confidence
    )  # first: it refuses models of one arm that were measured on other items
    differences = arm_differences(items, plan.reference_method, plan.methods, confidence)
    found = StudyOutcomes(
        infos=list(read.infos.values()),
        arms=arms,
        differences=differences.found,
        flips=all_flips(items, plan.reference_method, plan.methods),
        missing=list(read.missing),
        notes=[*differences.notes, *read.notes],
    )
    return OutcomeTables(items, outcome_table(items, statuses, confidence, shares), found)
