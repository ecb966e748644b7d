"""How much less the comparison method drifts, with every interval that the data allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.records.results import EffectSize, Interval, Reduction
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.inference.method_drifts import METHOD_ROLES, MethodDrifts, MethodRole, method_drifts
from repdrift.drift.sample_intervals import TaskDraws, sample_bounds
from repdrift.similarity import measure as similarity_measure
from repdrift.statistics import (
    EffectSize as Estimated,
)
from repdrift.statistics import (
    cliffs_delta,
    hierarchical_reduction,
    log_ratio,
    mean_difference,
    mean_ratio,
    mean_reduction,
    reduction_lower_bound,
)

Floats = NDArray[np.floating]
Draws = Mapping[str, TaskDraws]
"""By task."""


def reduction(
    frame: pd.DataFrame, task: str, layer: int | None, measure: str, plan: DriftPlan, draws: Draws
) -> Reduction:
    """The reduction in `frame`, which has one row a trained model, for a task (or all) at a layer (or averaged over them)."""
    drifts = method_drifts(frame, plan)
    reference, comparison = drifts.reference_mean, drifts.comparison_mean
    shared = reference > (ZERO_DRIFT if similarity_measure(measure).higher_is_similar else 0)
    found = Reduction(
        task=task,
        layer=layer,
        measure=measure,
        reduction=1 - comparison / reference if shared else None,
        reduction_low=_lower_bound(drifts, plan) if shared else None,
        reference_drift=reference,
        comparison_drift=comparison,
        reference_by_seed=_by_seed(frame, plan.reference_method),
        comparison_by_seed=_by_seed(frame, plan.comparison_method),
    )
    notes: list[str] = []
    intervals: list[Interval] = []
    if found.reduction is None:
        notes.append(
            f"the mean drift of {plan.reference_method} is not above 0, but for rounding: there is nothing to take a share of"
        )
    else:
        _over_models(drifts, plan, intervals, notes)
        if _below_zero(drifts):
            notes.append("no lower bound: a trained model's drift is below 0, and p need not rise with the margin then")
    differences = _over_samples(found, drifts, layer, plan, draws, intervals, notes)
    if layer is None and found.reduction is not None:
        _over_both(drifts, plan, draws, intervals, notes)
    return found.model_copy(
        update={
            "intervals": intervals,
            "difference_intervals": differences,
            "effects": _effects(drifts, found, plan) if layer is None else [],
            "notes": notes,
        }
    )


def _below_zero(drifts: MethodDrifts) -> bool:
    """Whether some model's drift is: p need not rise with the margin then, and the margin it is inverted at would be no bound."""
    return bool(min(drifts.reference.min(), drifts.comparison.min()) < 0)


def _lower_bound(drifts: MethodDrifts, plan: DriftPlan) -> float | None:
    if _below_zero(drifts):
        return None
    return reduction_lower_bound(drifts.reference, drifts.comparison, strata=drifts.reference_first, alpha=plan.alpha)


def _over_models(drifts: MethodDrifts, plan: DriftPlan, intervals: list[Interval], notes: list[str]) -> None:
    found = mean_reduction(
        drifts.reference,
        drifts.comparison,
        strata=drifts.reference_first,
        scale="log",
        confidence=plan.sampling.confidence,
    )
    if found.low is None or found.high is None:
        notes.append(f"no interval over models: {found.missing}")
    else:
        intervals.append(Interval(over="models", low=found.low, high=found.high, method="Welch, on the log ratio"))


def _over_samples(
    found: Reduction,
    drifts: MethodDrifts,
    layer: int | None,
    plan: DriftPlan,
    draws: Draws,
    intervals: list[Interval],
    notes: list[str],
) -> list[Interval]:
    """Adds the interval of the reduction over samples; returns that of the difference."""
    tops = _means(drifts, "comparison", layer, plan, draws)
    bottoms = _means(drifts, "reference", layer, plan, draws)
    if tops is None or bottoms is None or (tops[0] is None and tops[1] is None):
        notes.append("no interval over samples: drifts were not drawn anew for every model and layer")
        return []
    differences: list[Interval] = []
    difference = drifts.comparison_mean - drifts.reference_mean
    bounds = sample_bounds(
        difference,
        _pooled(tops[0]) - _pooled(bottoms[0]) if tops[0] and bottoms[0] else None,  # pyright: ignore[reportOptionalOperand]
        _jackknifed(tops[1], bottoms[1], lambda top, bottom: top - bottom),
        plan.sampling,
    )
    if bounds is not None:
        differences.append(Interval(over="samples", low=bounds.low, high=bounds.high, method=bounds.method))
    if found.reduction is None:
        return differences
    bounds = sample_bounds(
        1 - found.reduction,
        _ratio(_pooled(tops[0]), _pooled(bottoms[0])) if tops[0] and bottoms[0] else None,
        _jackknifed(tops[1], bottoms[1], _ratio),
        plan.sampling,
        log_scale=True,
    )
    if bounds is None:
        notes.append(
            f"no interval over samples: the mean drift of {plan.reference_method} is not above 0 in some of the draws, or the "
            "interval that was asked for does not exist"
        )
    else:
        intervals.append(Interval(over="samples", low=1 - bounds.high, high=1 - bounds.low, method=bounds.method))
    return differences


def _means(
    drifts: MethodDrifts, role: MethodRole, layer: int | None, plan: DriftPlan, draws: Draws
) -> tuple[list[Floats] | None, list[Floats] | None] | None:
    """By task, the mean over one method's models in every draw: bootstrap (B,) and left out (G,)."""
    bootstrap: list[Floats] = []
    left_out: list[Floats] = []
    for task in drifts.tasks:
        if task not in draws:
            return None
        drawn = draws[task].of(models_of(drifts, role, task, plan), layer)
        if drawn[0] is not None:
            bootstrap.append(drawn[0].mean(axis=0))
        if drawn[1] is not None:
            left_out.append(drawn[1].mean(axis=0))
    complete = len(drifts.tasks)
    return (
        bootstrap if len(bootstrap) == complete else None,
        left_out if len(left_out) == complete else None,
    )


def models_of(drifts: MethodDrifts, role: MethodRole, task: str, plan: DriftPlan) -> list[tuple[str, int]]:
    """(method, seed) of a task's models in one role, in the order of the drifts."""
    method = plan.reference_method if role == "reference" else plan.comparison_method
    seeds = drifts.reference_seeds if role == "reference" else drifts.comparison_seeds
    return [(method, seed) for of, seed in zip(drifts.tasks_of(role), seeds, strict=True) if of == task]


def _pooled(by_task: Sequence[Floats]) -> Floats:
    """Mean over tasks: they have samples of their own, so that any draw of one may stand beside any of another."""
    return np.mean(np.array(by_task), axis=0)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """top / bottom; NaN in a draw whose reference is not above 0: of that nothing is a share, and a ratio would turn its sign."""
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _jackknifed(
    tops: list[Floats] | None, bottoms: list[Floats] | None, combine: Callable[[Floats, Floats], Floats]
) -> list[Floats] | None:
    """The pooled statistic with each sample of each task left out, the other tasks whole."""
    if tops is None or bottoms is None:
        return None
    # Without a sample the mean of leave-one-out values stands for the whole of the other tasks.
    whole_tops, whole_bottoms = [t.mean() for t in tops], [b.mean() for b in bottoms]
    found: list[Floats] = []
    for place, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        rest_top = sum(whole_tops) - whole_tops[place]
        rest_bottom = sum(whole_bottoms) - whole_bottoms[place]
        found.append(combine((top + rest_top) / len(tops), (bottom + rest_bottom) / len(tops)))
    return found


def _over_both(
    drifts: MethodDrifts, plan: DriftPlan, draws: Draws, intervals: list[Interval], notes: list[str]
) -> None:
    tables: dict[MethodRole, Floats] = {}
    for role in METHOD_ROLES:
        by_task: list[Floats] = []
        for task in drifts.tasks:
            drawn = draws[task].of(models_of(drifts, role, task, plan), None)[0] if task in draws else None
            if drawn is None:
                notes.append(
                    "no interval over models and samples: it takes resamples with replacement, which are not at hand"
                )
                return
            if not np.isfinite(drawn).all():
                notes.append(
                    f"no interval over models and samples: in some resamples of {task} a representation does not vary"
                )
                return
            by_task.append(drawn)
        tables[role] = np.concatenate(by_task)
    order = {
        role: np.argsort([drifts.tasks.index(task) for task in drifts.tasks_of(role)], kind="stable")
        for role in METHOD_ROLES
    }
    found = hierarchical_reduction(
        tables["reference"],
        tables["comparison"],
        drifts.reference[order["reference"]],
        drifts.comparison[order["comparison"]],
        strata=[drifts.tasks_of(role)[i] for role in METHOD_ROLES for i in order[role]],
        confidence=plan.sampling.confidence,
    )
    if found.low is None or found.high is None:
        notes.append(f"no interval over models and samples: {found.missing}")
    else:
        how = "between models and over resamples, Student's t"
        intervals.append(Interval(over="models and samples", low=found.low, high=found.high, method=how))


def _effects(drifts: MethodDrifts, of: Reduction, plan: DriftPlan) -> list[EffectSize]:
    confidence, strata = plan.sampling.confidence, drifts.strata
    a, b = drifts.comparison, drifts.reference
    if of.reduction is None:
        reason = f"the mean drift of {plan.reference_method} is not above 0, but for rounding"
        ratio = log = Estimated(None, None, None, confidence, reason)
    else:
        log = log_ratio(a, b, strata=strata, confidence=confidence)
        if a.any():
            ratio = mean_ratio(a, b, strata=strata, confidence=confidence)
        else:  # said in terms of the methods
            reason = f"no model of {plan.comparison_method} drifts: an interval would have no width"
            ratio = Estimated(0.0, None, None, confidence, reason)
    found: list[tuple[str, Estimated]] = [
        ("difference", mean_difference(a, b, strata=strata, confidence=confidence)),
        ("ratio", ratio),
        ("log_ratio", log),
        ("cliffs_delta", cliffs_delta(a, b, strata=strata, confidence=confidence)),
    ]
    return [
        EffectSize(name=name, estimate=e.estimate, low=e.low, high=e.high, missing=e.missing)  # pyright: ignore[reportArgumentType]
        for name, e in found
    ]


def _by_seed(frame: pd.DataFrame, method: str) -> dict[str, float | None]:
    """Mean over tasks of every seed; None where a task lacks that seed: the mean of the others would be of something else."""
    tasks = frame["task"].nunique()
    by_seed = frame[frame["method"] == method].groupby("seed", sort=False)["drift"]
    return {str(seed): float(rows.mean()) if len(rows) == tasks else None for seed, rows in by_seed}
