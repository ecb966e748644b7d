"""The sentences that stand first in every output of an analysis, since they change how each of its numbers is read."""

from __future__ import annotations

from repdrift.core.learnt_words import judged_models, learnt_cautions
from repdrift.core.merged_words import merged_lines
from repdrift.core.records.results import DriftResults


def first_lines(results: DriftResults) -> list[str]:
    """Says of which parts a merged study is, which models have not learnt their task, and whether the learning rates were tuned; empty if all is well."""
    merged = results.study.merged
    return [
        *(merged_lines(merged) if merged is not None else []),
        *learnt_cautions(judged_models(results.runs)),
        *(results.tuning.cautions if results.tuning else []),
    ]
