"""Clauses on the models of a study: how many are there and have learnt their task, and how the methods' scores differ."""

from __future__ import annotations

from repdrift.core.equal_skill_words import over_all_tasks
from repdrift.core.learnt_words import judged_models
from repdrift.core.records.results import DriftResults
from repdrift.core.study_headline.clause import Clause
from repdrift.core.study_scores import gap_range, score_gaps
from repdrift.core.words import counted, method_title

_ALIKE = 0.001
"""Scores that are nearer to one another are written alike."""


def _scores(count: int) -> str:
    """The subject of a clause on mean scores: their range over tasks would be read as an interval."""
    return "the mean score lies" if count == 1 else "mean scores by task lie"


def none_has_learnt(results: DriftResults) -> bool:
    """True if models are known not to have learnt their task, and none is known to have."""
    verdicts = {model.verdict for model in judged_models(results.runs)}
    return False in verdicts and True not in verdicts


def learnt(results: DriftResults) -> list[Clause]:
    """Returns how many models have learnt their task. A study in which not all have says so on every screen."""
    models = judged_models(results.runs)
    have = sum(model.verdict is True for model in models)
    have_not = sum(model.verdict is False for model in models)
    unknown = len(models) - have - have_not
    if not models:
        return []
    of_all = counted(len(models), "model")
    if have == len(models):
        which = {1: "the only model has learnt its", 2: "both models have learnt their"}
        return [Clause(f"{which.get(have, f'all {of_all} have learnt their')} task", 3)]
    if have_not == len(models):
        return [Clause(f"none of the {of_all} has learnt its task")]
    said: list[Clause] = []
    if have_not:
        have_words = "has not learnt its" if have_not == 1 else "have not learnt their"
        said.append(Clause(f"{have_not} of {of_all} {have_words} task"))
    if unknown:
        which_ones = f"the {of_all}" if unknown == len(models) else f"{unknown} of {of_all}"
        have_words = "has learnt its" if unknown == 1 else "have learnt their"
        said.append(Clause(f"whether {which_ones} {have_words} task is not known"))
    return said


def missing(results: DriftResults) -> list[Clause]:
    """Returns how many planned models are missing; nothing if all are there."""
    planned = [run for run in results.runs if run.step == 0]
    absent = sum(run.status != "ok" for run in planned)
    if not absent:
        return []
    return [Clause(f"{absent} of {counted(len(planned), 'planned model')} {'is' if absent == 1 else 'are'} missing", 1)]


def scores_apart(results: DriftResults) -> list[Clause]:
    """Returns how far the scores of the compared methods lie from the reference's, and whether drift was compared at equal skill."""
    study = results.study
    gaps, reference = score_gaps(results), method_title(study.reference_method)
    apart = gap_range(gaps)
    said = (
        []
        if apart is None
        else [f"{_scores(len(gaps))} {apart} from {'that' if len(gaps) == 1 else 'those'} of {reference}"]
    )
    if apart is not None and all(abs(gap.difference) < _ALIKE for gap in gaps):
        said = [f"scores lie within {_ALIKE} of those of {reference}"]
    asked = [found for name in study.contrasted if (found := over_all_tasks(results.equal_skill, name)) is not None]
    if asked and not any(found.test is not None for found in asked):
        said.append("drift at equal skill is not known")
    return [Clause(", and ".join(said), 4)] if said else []
