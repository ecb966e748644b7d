"""The clauses of a study's headline as one sentence, whole or short enough for a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repdrift.core.records.results import DriftResults
from repdrift.core.site_rows import residual_rows
from repdrift.core.study_headline.claim_clauses import claim_clauses
from repdrift.core.study_headline.clause import Clause
from repdrift.core.study_headline.contrast import contrasts
from repdrift.core.study_headline.drift_clauses import drift_of_each, where_and_noise
from repdrift.core.study_headline.skill_clauses import learnt, missing, none_has_learnt, scores_apart
from repdrift.core.words import sentence_case

if TYPE_CHECKING:
    import pandas as pd


def headline(results: DriftResults, table: pd.DataFrame | None) -> str:
    """Returns the headline with all of its clauses. table: the tidy table; None: nothing is said of layers and noise."""
    return _sentence(_clauses(results, table))


def headlines(results: DriftResults, table: pd.DataFrame | None) -> list[str]:
    """Returns the headline with all of its clauses, then with fewer of them, down to what no screen does without."""
    clauses = _clauses(results, table)
    found = [_sentence(clauses)]
    for rank in sorted({clause.rank for clause in clauses} - {0}, reverse=True):
        clauses = [clause for clause in clauses if clause.rank < rank]
        found.append(_sentence(clauses))
    return found


def _sentence(clauses: Sequence[Clause]) -> str:
    return sentence_case("; ".join(clause.text for clause in clauses)) + "."


def _clauses(results: DriftResults, table: pd.DataFrame | None) -> list[Clause]:
    """The clauses in the order of reading. Where no model has learnt its task, that comes first."""
    primary = None if table is None else _primary(results, table)
    claims = claim_clauses(results)
    if primary is not None and all(each.test is None for each in contrasts(results)):
        claims = [*claims, drift_of_each(results, primary)]
    where = [] if primary is None else where_and_noise(results, primary)
    skill = [*learnt(results), *missing(results)]
    if none_has_learnt(results):
        return [*skill, *claims, *where]
    if any(clause.rank == 0 for clause in skill):
        return [*claims, *skill, *where, *scores_apart(results)]
    return [*claims, *where, *skill, *scores_apart(results)]


def _primary(results: DriftResults, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the primary measure for the final models at the residual stream."""
    rows = residual_rows(table)
    return rows[(rows["step"] == 0) & (rows["measure"] == results.study.primary_measure)]
