"""Drift: representation sets in, a tidy table and tested statements out."""

from repdrift.drift.analysis import analyze
from repdrift.drift.analysis_plan import BaseSets, DriftPlan, PlannedSet

__all__ = ["BaseSets", "DriftPlan", "PlannedSet", "analyze"]
