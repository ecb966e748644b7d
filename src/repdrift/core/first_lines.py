"""The sentences that stand first in every output of an analysis, since they change how each of its numbers is read."""

from __future__ import annotations

from repdrift.core.learnt_words import judged_models, learnt_cautions
from repdrift.core.records.results import DriftResults


def first_lines(results: DriftResults) -> list[str]:
    """Says which models have not learnt their task, and whether the learning rates were tuned; empty if all is well."""
    return [*learnt_cautions(judged_models(results.runs)), *(results.tuning.cautions if results.tuning else [])]
