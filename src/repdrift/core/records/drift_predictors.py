"""Drift as a predictor of outcomes: the rank correlation of each measure's drift with an outcome, over trained models."""

from __future__ import annotations

from repdrift.core.records.base import Record


class MeasureCorrelation(Record):
    """The rank correlation of one measure with the outcome, within tasks and methods, and its two-sided interval and test.

    pvalue_max_t: corrected over the measures of the table by the maximum over measures under permuted outcomes.
    """

    measure: str
    title: str
    correlation: float | None
    """-1 to 1; null for the reason `missing`."""
    low: float | None = None
    high: float | None = None
    pvalue: float | None = None
    pvalue_max_t: float | None = None
    missing: str | None = None
    """The reason why there is no correlation, or no interval."""


class DriftPredictors(Record):
    """Every measure's correlation with one outcome over the final models, within tasks and methods."""

    outcome: str
    """`score` (each task's primary one, more is better), `forgetting`, or `retrieval` (what is lost of it)."""
    outcome_title: str
    correlations: list[MeasureCorrelation]
    smallest_pvalue: float | None
    """The smallest p that the design can give."""
    n_units: int
    """Trained models that count."""
    n_left_out: int = 0
    """Trained models without the outcome, alone in their group, or in a group whose outcomes are all equal."""
    groups: int
    """Groups of task and method that the correlations are within."""
    sentence: str
    missing: str | None = None
    """The reason why nothing is correlated."""
