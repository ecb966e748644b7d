"""Drift as a predictor: which measure's drift goes with the score, with forgetting, and with what is lost of retrieval, over the final models of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from repdrift.core.records.drift_predictors import DriftPredictors, MeasureCorrelation
from repdrift.core.records.outcomes import ON_BENCHMARK, ON_GENERAL_TEXT, ON_TASK
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import counted, method_title, p_equals, pvalue, some_listed, task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.weight_rows import WEIGHT_MEASURES
from repdrift.similarity import measure as similarity_measure
from repdrift.statistics import outcome_correlations

Run = tuple[str, str, int]
"""Task, method and seed of a final model."""
SCORE, FORGETTING, RETRIEVAL = "score", "forgetting", "retrieval"
_DIVERGENCE = "output_kl"
"""An outcome that is itself a candidate: the literature has it as the best predictor of forgetting (Shenfeld et al. 2025)."""
_TITLES = {
    SCORE: "the score (each task's primary one, more is better)",
    FORGETTING: "forgetting (rise of the loss on general text)",
    RETRIEVAL: "what is lost of retrieval (fall of the reciprocal rank)",
}


def drift_predictors(
    final: pd.DataFrame, statuses: Sequence[RunStatus], outcomes: pd.DataFrame | None, plan: DriftPlan
) -> list[DriftPredictors]:
    """Correlate the drift of every measure with the score, and with forgetting and what is lost of retrieval where they were measured, within tasks and methods.

    final: rows of the tidy table at step 0, all measures. outcomes: the table of outcomes; None if none was measured.
    """
    measures = _measures(final, outcomes, plan)
    found = [_predictors(SCORE, _scores(statuses), measures, plan)]
    if forgetting := _outcome(outcomes, FORGETTING, ON_GENERAL_TEXT, "difference"):
        found.append(_predictors(FORGETTING, forgetting, measures, plan))
    if gained := _outcome(outcomes, RETRIEVAL, ON_BENCHMARK, "difference"):
        found.append(_predictors(RETRIEVAL, {run: -value for run, value in gained.items()}, measures, plan))
    return found


def _scores(statuses: Sequence[RunStatus]) -> dict[Run, float]:
    """The primary score of every final model, higher is better; without those of which it is not known."""
    return {
        (s.task, s.method, s.seed): s.learnt.score if s.learnt.higher_is_better else -s.learnt.score
        for s in statuses
        if s.status == "ok" and s.step == 0 and s.learnt is not None
    }


def _outcome(outcomes: pd.DataFrame | None, name: str, inputs: str, column: str) -> dict[Run, float]:
    """An outcome of every final model that has it."""
    if outcomes is None:
        return {}
    rows = outcomes[(outcomes["outcome"] == name) & (outcomes["inputs"] == inputs) & (outcomes["step"] == 0)]
    rows = rows[rows[column].notna() & rows["layer"].isna()]
    return {
        (str(task), str(method), int(seed)): float(value)
        for task, method, seed, value in zip(rows["task"], rows["method"], rows["seed"], rows[column], strict=True)
    }


def _measures(
    final: pd.DataFrame, outcomes: pd.DataFrame | None, plan: DriftPlan
) -> dict[str, tuple[str, dict[Run, float]]]:
    """By name the title and the values of every candidate: mean drift over layers, the weights' change, the outputs' divergence."""
    found: dict[str, tuple[str, dict[Run, float]]] = {}
    for name in plan.measures:
        found[name] = similarity_measure(name).title, _by_run(final, name, "drift")
    for name, title in WEIGHT_MEASURES.items():
        if values := _by_run(final, name, "value"):
            found[name] = title, values
    if divergence := _outcome(outcomes, _DIVERGENCE, ON_TASK, "value"):
        found[_DIVERGENCE] = "KL divergence of the outputs on the task's inputs", divergence
    return found


def _by_run(final: pd.DataFrame, name: str, column: str) -> dict[Run, float]:
    """The mean over layers of one measure, by run; without runs that lack a layer's value."""
    rows = final[final["measure"] == name]
    if rows.empty:
        return {}
    means = rows.groupby(["task", "method", "seed"], sort=False)[column].agg(_mean_of_all)
    layers = rows.groupby(["task", "method", "seed"], sort=False)["layer"].nunique()
    whole = means[(layers == layers.max()) & np.isfinite(means)]
    return {(str(t), str(m), int(s)): float(v) for (t, m, s), v in whole.items()}  # pyright: ignore[reportGeneralTypeIssues]


def _mean_of_all(values: pd.Series) -> float:
    return float(values.mean(skipna=False))


def _predictors(
    outcome: str,
    values: Mapping[Run, float],
    measures: Mapping[str, tuple[str, Mapping[Run, float]]],
    plan: DriftPlan,
) -> DriftPredictors:
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in values:
        groups.setdefault(run[:2], []).append(run)
    groups = {k: runs for k, runs in groups.items() if len(runs) > 1 and len({values[run] for run in runs}) > 1}
    runs = [run for of_group in groups.values() for run in of_group]
    common = {
        "outcome": outcome,
        "outcome_title": _TITLES[outcome],
        "n_left_out": len(values) - len(runs),
        "groups": len(groups),
        "n_units": len(runs),
    }
    if not runs:
        reason = f"no task has two models of one method that differ in {_TITLES[outcome]}"
        sentence = f"Which drift goes with {_TITLES[outcome]} is not known: {reason}."
        return DriftPredictors(**common, correlations=[], smallest_pvalue=None, sentence=sentence, missing=reason)
    reasons = {name: _unfit(of_run, groups) for name, (_, of_run) in measures.items()}
    fit = [name for name, reason in reasons.items() if reason is None]
    correlations = {
        name: MeasureCorrelation(measure=name, title=measures[name][0], correlation=None, missing=reason)
        for name, reason in reasons.items()
    }
    if not fit:
        reason = "no measure has a drift that differs between the models of every group"
        sentence = f"Which drift goes with {_TITLES[outcome]} is not known: {reason}.{_left_out({measures[name][0]: reason for name, reason in reasons.items()})}"
        return DriftPredictors(
            **common, correlations=list(correlations.values()), smallest_pvalue=None, sentence=sentence, missing=reason
        )
    table = np.array([[measures[name][1][run] for name in fit] for run in runs])
    found = outcome_correlations(
        table,
        [values[run] for run in runs],
        strata=["\0".join(run[:2]) for run in runs],
        confidence=plan.sampling.confidence,
    )
    for i, name in enumerate(fit):
        interval = found.intervals[i]
        correlations[name] = MeasureCorrelation(
            measure=name,
            title=measures[name][0],
            correlation=float(found.correlation[i]),
            low=None if interval is None else interval.low,
            high=None if interval is None else interval.high,
            pvalue=float(found.pvalue[i]),
            pvalue_max_t=float(found.adjusted[i]),
            missing=found.missing[i],
        )
    best = max(fit, key=lambda name: abs(correlations[name].correlation or 0.0))
    return DriftPredictors(
        **common,
        correlations=list(correlations.values()),
        smallest_pvalue=found.smallest_pvalue,
        sentence=_sentence(outcome, correlations[best], len(fit), found.smallest_pvalue, len(runs), plan.alpha)
        + _left_out({measures[name][0]: reason for name, reason in reasons.items()}),
    )


def _unfit(of_run: Mapping[Run, float], groups: Mapping[tuple[str, str], Sequence[Run]]) -> str | None:
    """Returns the reason why a measure cannot be correlated over these groups; None if it can."""
    absent = [run for runs in groups.values() for run in runs if run not in of_run]
    if absent:
        return f"{counted(len(absent), 'model')} without a value in every layer"
    equal = [key for key, runs in groups.items() if len({of_run[run] for run in runs}) < 2]
    if not equal:
        return None
    still = " (exactly 0)" if all(of_run[run] == 0 for key in equal for run in groups[key]) else ""
    return f"all equal{still} in {some_listed([f'{task_title(t)}, {method_title(m)}' for t, m in equal], most=3)}"


def _left_out(reasons: Mapping[str, str | None]) -> str:
    """Returns a sentence on the measures that are not correlated, each with its reason; "" if there are none."""
    said = [f"{name} ({reason})" for name, reason in reasons.items() if reason is not None]
    return f" Left out: {some_listed(said, most=6)}." if said else ""


def _sentence(
    outcome: str, best: MeasureCorrelation, n_measures: int, smallest: float, n_units: int, alpha: float
) -> str:
    """Returns the strongest correlation in words, with what it is worth after the correction."""
    decided = best.pvalue_max_t is not None and best.pvalue_max_t <= alpha
    lead = (
        f"Models that differ more from their base by {best.title}"
        if decided
        else f"No drift is shown to go with {_TITLES[outcome]}; the strongest is {best.title}"
    )
    more = "more" if (best.correlation or 0.0) > 0 else "less"
    verb = {
        SCORE: f"score {'higher' if more == 'more' else 'lower'}",
        FORGETTING: f"forget {more}",
        RETRIEVAL: f"lose {more} of retrieval",
    }[outcome]
    said = f"{lead} {verb}" if decided else lead
    p = (
        ""
        if best.pvalue_max_t is None
        else f", {p_equals(best.pvalue_max_t)} corrected over {counted(n_measures, 'measure')} by max-T"
    )
    return (
        f"{said}: rank correlation {best.correlation:.2f} within tasks and methods{p} (smallest possible: {pvalue(smallest)}), "
        f"{counted(n_units, 'trained model')}."
    )
