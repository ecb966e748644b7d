"""Drift: representation sets in, a tidy table and tested statements out."""

from repdrift.drift.analysis import analyze
from repdrift.drift.analysis_plan import BaseSets, DriftPlan, FirstTokensPlan, PlannedOutcomes, PlannedSet
from repdrift.drift.memory_need import LayerSize
from repdrift.drift.set_checks import require_base_set, require_random_change_of, require_run_of, require_weights_of

__all__ = [
    "BaseSets",
    "DriftPlan",
    "FirstTokensPlan",
    "LayerSize",
    "PlannedOutcomes",
    "PlannedSet",
    "analyze",
    "require_base_set",
    "require_random_change_of",
    "require_run_of",
    "require_weights_of",
]
