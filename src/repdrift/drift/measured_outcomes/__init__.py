"""From the outcomes of every run to their tables, and to what is said of arms."""

from repdrift.drift.measured_outcomes.reading import FoundOutcomes, find_outcomes
from repdrift.drift.measured_outcomes.study import OutcomeTables, study_outcomes, tables_of_outcomes

__all__ = ["FoundOutcomes", "OutcomeTables", "find_outcomes", "study_outcomes", "tables_of_outcomes"]
