"""The reduction of drift: how much less the comparison method drifts, with every interval that the data allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.records.claims import EffectSize, Interval, Reduction
from repdrift.core.records.sites import RESID_POST
from repdrift.core.words import method_title, percent, task_title
from repdrift.drift.analysis_plan import DriftPlan, TrainedModel
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.inference.method_drifts import (
    METHOD_ROLES,
    NO_LOGARITHM,
    MethodDrifts,
    MethodRole,
    method_drifts,
    without_rounding,
)
from repdrift.drift.resampled_drift import ResampledDrifts
from repdrift.drift.sample_intervals import sample_interval
from repdrift.drift.sample_units import method_words
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
Draws = Mapping[str, ResampledDrifts]
"""By task."""


def reduction(
    frame: pd.DataFrame,
    task: str,
    layer: int | None,
    measure: str,
    plan: DriftPlan,
    draws: Draws,
    *,
    site: str = RESID_POST,
) -> Reduction:
    """Returns the reduction on a task or all tasks, at a layer or averaged over layers, at one site.

    frame: a row for each trained model, with its drift there. draws: by task, drifts of that site with samples drawn anew.
    """
    drifts = method_drifts(frame, plan)
    reference, comparison = drifts.reference_mean, drifts.comparison_mean
    shared = reference > (ZERO_DRIFT if similarity_measure(measure).higher_is_similar else 0)
    found = Reduction(
        comparison=plan.comparison_method,
        task=task,
        tasks=drifts.tasks,
        layer=layer,
        site=site,
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
            f"but for rounding, the mean drift of {method_title(plan.reference_method)} is not above 0: there is nothing to take a share of"
        )
    else:
        _over_models(drifts, plan, intervals, notes)
        if _below_zero(drifts):
            notes.append("no lower bound: a trained model's drift is below 0, and then p need not rise with the margin")
        elif found.reduction_low is not None and found.reduction_low > found.reduction:
            factor = percent(drifts.geometric_reduction)
            notes.append(
                f"the lower bound is of the factor that is tested, the geometric mean over models and tasks ({factor} less), not of the means"
            )
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
    """Returns True if some drift is below 0. Then p need not rise with the margin, and inverting the test gives no bound."""
    return bool(min(drifts.reference.min(), drifts.comparison.min()) < 0)


def _lower_bound(drifts: MethodDrifts, plan: DriftPlan) -> float | None:
    if _below_zero(drifts):
        return None
    return reduction_lower_bound(
        drifts.reference,
        drifts.comparison,
        strata=drifts.reference_first,
        alpha=plan.alpha,
        logarithm=drifts.logarithm,
    )


def _over_models(drifts: MethodDrifts, plan: DriftPlan, intervals: list[Interval], notes: list[str]) -> None:
    found = mean_reduction(
        without_rounding(drifts.reference),
        without_rounding(drifts.comparison),
        strata=drifts.reference_first,
        confidence=plan.sampling.confidence,
    )
    if found.interval is None:
        notes.append(f"no interval over models: {found.missing}")
    else:
        low, high = found.interval
        intervals.append(Interval(over="models", low=low, high=high, method="Welch, on the log ratio"))


def _over_samples(
    found: Reduction,
    drifts: MethodDrifts,
    layer: int | None,
    plan: DriftPlan,
    draws: Draws,
    intervals: list[Interval],
    notes: list[str],
) -> list[Interval]:
    """Adds the interval of the reduction over samples. Returns the interval of the difference, if there is one."""
    tops = _means(drifts, "comparison", layer, plan, draws)
    bottoms = _means(drifts, "reference", layer, plan, draws)
    resampled = None
    if tops.bootstrap is not None and bottoms.bootstrap is not None:
        resampled = _pooled(tops.bootstrap), _pooled(bottoms.bootstrap)
    without = None
    if tops.delete_group is not None and bottoms.delete_group is not None:
        without = tops.delete_group, bottoms.delete_group
    if resampled is None and without is None:
        notes.append(f"no interval over samples: {_not_drawn(drifts.tasks, draws)}")
        return []
    units = [draws[task].units for task in drifts.tasks]
    wholes = _task_wholes(drifts, "comparison"), _task_wholes(drifts, "reference")
    difference = sample_interval(
        drifts.comparison_mean - drifts.reference_mean,
        None if resampled is None else resampled[0] - resampled[1],
        None if without is None else _jackknifed(*without, *wholes, lambda top, bottom: top - bottom),
        plan.sampling,
        units=units,
    )
    differences = [] if difference is None else [difference]
    if found.reduction is None:
        return differences
    ratio = sample_interval(
        1 - found.reduction,
        None if resampled is None else _ratio(*resampled),
        None if without is None else _jackknifed(*without, *wholes, _ratio),
        plan.sampling,
        log_scale=True,
        units=units,
    )
    if ratio is None:
        notes.append(
            f"no interval over samples: the mean drift of {method_title(plan.reference_method)} is not above 0 in some of the draws, "
            "or the chosen interval does not exist"
        )
    else:
        intervals.append(Interval(over="samples", low=1 - ratio.high, high=1 - ratio.low, method=ratio.method))
    return differences


@dataclass(frozen=True)
class _TaskMeans:
    """By task, the mean over one method's models in every draw. None if some task was not drawn in that way."""

    bootstrap: list[Floats] | None
    delete_group: list[Floats] | None


def _means(drifts: MethodDrifts, role: MethodRole, layer: int | None, plan: DriftPlan, draws: Draws) -> _TaskMeans:
    bootstrap: list[Floats] = []
    delete_group: list[Floats] = []
    for task in drifts.tasks:
        if task not in draws:
            return _TaskMeans(None, None)
        drawn = draws[task].of(models_of(drifts, role, task, plan), layer)
        if drawn.bootstrap is not None:
            bootstrap.append(drawn.bootstrap.mean(axis=0))
        if drawn.delete_group is not None:
            delete_group.append(drawn.delete_group.mean(axis=0))
    complete = len(drifts.tasks)
    return _TaskMeans(
        bootstrap if len(bootstrap) == complete else None,
        delete_group if len(delete_group) == complete else None,
    )


def models_of(drifts: MethodDrifts, role: MethodRole, task: str, plan: DriftPlan) -> list[TrainedModel]:
    """Returns a task's models in one role, in the order of the drifts."""
    method = plan.reference_method if role == "reference" else plan.comparison_method
    seeds = drifts.reference_seeds if role == "reference" else drifts.comparison_seeds
    return [TrainedModel(method, seed) for of, seed in zip(drifts.tasks_of(role), seeds, strict=True) if of == task]


def _pooled(by_task: Sequence[Floats]) -> Floats:
    """Returns the mean over tasks. Tasks have samples of their own, so any draw of one may go with any draw of another."""
    return np.mean(np.array(by_task), axis=0)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Returns top / bottom; NaN in a draw where the reference is not above 0: a ratio would turn its sign there."""
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _jackknifed(
    tops: list[Floats],
    bottoms: list[Floats],
    whole_tops: Sequence[float],
    whole_bottoms: Sequence[float],
    combine: Callable[[Floats, Floats], Floats],
) -> list[Floats]:
    """Returns the pooled statistic without each sample, or group of them, of each task, with the other tasks whole."""
    found: list[Floats] = []
    for i, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        rest_top = sum(whole_tops) - whole_tops[i]
        rest_bottom = sum(whole_bottoms) - whole_bottoms[i]
        found.append(combine((top + rest_top) / len(tops), (bottom + rest_bottom) / len(tops)))
    return found


def _task_wholes(drifts: MethodDrifts, role: MethodRole) -> list[float]:
    """Returns by task the mean over one method's models of the drifts on all samples."""
    values, labels = (drifts.reference if role == "reference" else drifts.comparison), np.array(drifts.tasks_of(role))
    return [float(values[labels == task].mean()) for task in drifts.tasks]


def _not_drawn(tasks: Sequence[str], draws: Draws) -> str:
    """Returns the reason, as a clause, why there are no draws of all tasks."""
    for task in tasks:
        if task in draws and draws[task].units.missing is not None:
            return f"on {task_title(task)} {draws[task].units.missing}"
    return "drifts were not drawn anew for every model and layer"


def _over_both(
    drifts: MethodDrifts, plan: DriftPlan, draws: Draws, intervals: list[Interval], notes: list[str]
) -> None:
    tables: dict[MethodRole, Floats] = {}
    for role in METHOD_ROLES:
        by_task: list[Floats] = []
        for task in drifts.tasks:
            drawn = draws[task].of(models_of(drifts, role, task, plan), None).bootstrap if task in draws else None
            if drawn is None:
                reason = "it needs resamples with replacement, and there are none"
                if task in draws and draws[task].units.missing is not None:
                    reason = _not_drawn([task], draws)
                notes.append(f"no interval over models and samples: {reason}")
                return
            if not np.isfinite(drawn).all():
                notes.append(
                    f"no interval over models and samples: in some resamples of {task_title(task)} a representation does not vary"
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
    if found.interval is None:
        notes.append(f"no interval over models and samples: {found.missing}")
    else:
        low, high = found.interval
        how = method_words(
            "between models and over resamples, Student's t,", [draws[task].units for task in drifts.tasks]
        )
        intervals.append(Interval(over="models and samples", low=low, high=high, method=how))


def _effects(drifts: MethodDrifts, of: Reduction, plan: DriftPlan) -> list[EffectSize]:
    confidence, strata = plan.sampling.confidence, drifts.strata
    a, b = without_rounding(drifts.comparison), without_rounding(drifts.reference)
    if of.reduction is None:
        reason = f"but for rounding, the mean drift of {method_title(plan.reference_method)} is not above 0"
        ratio = log = Estimated(None, None, reason)
    else:
        log = Estimated(None, None, NO_LOGARITHM)
        if drifts.logarithm:
            log = log_ratio(a, b, strata=strata, confidence=confidence)
        if a.any():
            ratio = mean_ratio(a, b, strata=strata, confidence=confidence)
        else:  # said in terms of the methods
            reason = f"no model of {method_title(plan.comparison_method)} drifts: an interval would have no width"
            ratio = Estimated(0.0, None, reason)
    found: list[tuple[str, Estimated]] = [
        ("difference", mean_difference(a, b, strata=strata, confidence=confidence)),
        ("ratio", ratio),
        ("log_ratio", log),
        ("cliffs_delta", cliffs_delta(a, b, strata=strata, confidence=confidence)),
    ]
    return [
        EffectSize(
            name=name,  # pyright: ignore[reportArgumentType]
            estimate=e.estimate,
            low=e.interval.low if e.interval else None,
            high=e.interval.high if e.interval else None,
            missing=e.missing,
        )
        for name, e in found
    ]


def _by_seed(frame: pd.DataFrame, method: str) -> dict[str, float | None]:
    """Returns by seed the mean drift over tasks; None if a task lacks the seed, because the other tasks have another mean."""
    tasks = frame["task"].nunique()
    by_seed = frame[frame["method"] == method].groupby("seed", sort=False)["drift"]
    return {str(seed): float(rows.mean()) if len(rows) == tasks else None for seed, rows in by_seed}
