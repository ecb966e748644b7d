"""How much less the comparison method drifts, with every interval that the data allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.records.results import EffectSize, Interval, Reduction
from repdrift.drift.inference.groups import SIDES, Groups, Side, groups_of
from repdrift.drift.plan import DriftPlan
from repdrift.drift.rounding import ZERO_DRIFT
from repdrift.drift.sampling import TaskDraws, sample_bounds
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
    groups = groups_of(frame, plan)
    reference, comparison = groups.reference_mean, groups.comparison_mean
    shared = reference > (ZERO_DRIFT if similarity_measure(measure).higher_is_similar else 0)
    found = Reduction(
        task=task,
        layer=layer,
        measure=measure,
        reduction=1 - comparison / reference if shared else None,
        reduction_low=_lower_bound(groups, plan) if shared else None,
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
        _over_models(groups, plan, intervals, notes)
        if _below_zero(groups):
            notes.append("no lower bound: a trained model's drift is below 0, and p need not rise with the margin then")
    differences = _over_samples(found, groups, layer, plan, draws, intervals, notes)
    if layer is None and found.reduction is not None:
        _over_both(groups, plan, draws, intervals, notes)
    return found.model_copy(
        update={
            "intervals": intervals,
            "difference_intervals": differences,
            "effects": _effects(groups, found, plan) if layer is None else [],
            "notes": notes,
        }
    )


def _below_zero(groups: Groups) -> bool:
    """Whether some model's drift is: p need not rise with the margin then, and the margin it is inverted at would be no bound."""
    return bool(min(groups.reference.min(), groups.comparison.min()) < 0)


def _lower_bound(groups: Groups, plan: DriftPlan) -> float | None:
    if _below_zero(groups):
        return None
    return reduction_lower_bound(groups.reference, groups.comparison, strata=groups.reference_first, alpha=plan.alpha)


def _over_models(groups: Groups, plan: DriftPlan, intervals: list[Interval], notes: list[str]) -> None:
    found = mean_reduction(
        groups.reference,
        groups.comparison,
        strata=groups.reference_first,
        scale="log",
        confidence=plan.sampling.confidence,
    )
    if found.low is None or found.high is None:
        notes.append(f"no interval over models: {found.missing}")
    else:
        intervals.append(Interval(over="models", low=found.low, high=found.high, method="Welch, on the log ratio"))


def _over_samples(
    found: Reduction,
    groups: Groups,
    layer: int | None,
    plan: DriftPlan,
    draws: Draws,
    intervals: list[Interval],
    notes: list[str],
) -> list[Interval]:
    """Adds the interval of the reduction over samples; returns that of the difference."""
    tops = _means(groups, "comparison", layer, plan, draws)
    bottoms = _means(groups, "reference", layer, plan, draws)
    if tops is None or bottoms is None or (tops[0] is None and tops[1] is None):
        notes.append("no interval over samples: drifts were not drawn anew for every model and layer")
        return []
    differences: list[Interval] = []
    difference = groups.comparison_mean - groups.reference_mean
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
    groups: Groups, side: Side, layer: int | None, plan: DriftPlan, draws: Draws
) -> tuple[list[Floats] | None, list[Floats] | None] | None:
    """By task, the mean over one method's models in every draw: bootstrap (B,) and left out (G,)."""
    bootstrap: list[Floats] = []
    left_out: list[Floats] = []
    for task in groups.tasks:
        if task not in draws:
            return None
        drawn = draws[task].of(models_of(groups, side, task, plan), layer)
        if drawn[0] is not None:
            bootstrap.append(drawn[0].mean(axis=0))
        if drawn[1] is not None:
            left_out.append(drawn[1].mean(axis=0))
    complete = len(groups.tasks)
    return (
        bootstrap if len(bootstrap) == complete else None,
        left_out if len(left_out) == complete else None,
    )


def models_of(groups: Groups, side: Side, task: str, plan: DriftPlan) -> list[tuple[str, int]]:
    """(method, seed) of one side's models of a task, in the order of the groups."""
    method = plan.reference_method if side == "reference" else plan.comparison_method
    seeds = groups.reference_seeds if side == "reference" else groups.comparison_seeds
    return [(method, seed) for of, seed in zip(groups.tasks_of(side), seeds, strict=True) if of == task]


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


def _over_both(groups: Groups, plan: DriftPlan, draws: Draws, intervals: list[Interval], notes: list[str]) -> None:
    tables: dict[Side, Floats] = {}
    for side in SIDES:
        by_task: list[Floats] = []
        for task in groups.tasks:
            drawn = draws[task].of(models_of(groups, side, task, plan), None)[0] if task in draws else None
            if drawn is None:
                notes.append(
                    "no interval over models and samples: it takes resamples with replacement, which are not at hand"
                )
                return
            if not np.isfinite(drawn).all():
                notes.append(f"no interval over models and samples: in some resamples of {task} a side does not vary")
                return
            by_task.append(drawn)
        tables[side] = np.concatenate(by_task)
    order = {
        side: np.argsort([groups.tasks.index(task) for task in groups.tasks_of(side)], kind="stable") for side in SIDES
    }
    found = hierarchical_reduction(
        tables["reference"],
        tables["comparison"],
        groups.reference[order["reference"]],
        groups.comparison[order["comparison"]],
        strata=[groups.tasks_of(side)[i] for side in SIDES for i in order[side]],
        confidence=plan.sampling.confidence,
    )
    if found.low is None or found.high is None:
        notes.append(f"no interval over models and samples: {found.missing}")
    else:
        how = "between models and over resamples, Student's t"
        intervals.append(Interval(over="models and samples", low=found.low, high=found.high, method=how))


def _effects(groups: Groups, of: Reduction, plan: DriftPlan) -> list[EffectSize]:
    confidence, strata = plan.sampling.confidence, groups.strata
    a, b = groups.comparison, groups.reference
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
