"""Changes of the weights over seeds: means with their spread, and two methods against each other over trained models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from repdrift.core.records.weights import (
    MODULE_KINDS,
    ModelWeightsMoved,
    RunWeightsMoved,
    WeightCell,
    WeightContrast,
    WeightGroup,
    WeightsOverSeeds,
)
from repdrift.core.weight_groups import joined
from repdrift.drift.analysis_plan import DriftPlan, PlannedSet
from repdrift.statistics import holm, label_permutation_test, log_ratio, mean_difference

LEAST_FOR_SPREAD = 3
"""Models from which on a standard deviation is given."""


def intruder_share(group: WeightGroup) -> float | None:
    """Intruders among the leading singular vectors that were looked at; None if there were none."""
    return None if group.intruders is None or not group.vectors else group.intruders / group.vectors


def over_seeds(runs: Sequence[RunWeightsMoved]) -> list[WeightsOverSeeds]:
    """Returns the means over the final models of each task and method: of all weights, of each kind, and of each layer."""
    found: list[WeightsOverSeeds] = []
    keys = dict.fromkeys((run.task, run.method) for run in runs if not run.step)
    for task, method in keys:
        final = [run for run in runs if (run.task, run.method, run.step) == (task, method, 0)]
        for part, groups_of in _PARTS.items():
            names = dict.fromkeys(group.group for run in final for group in groups_of(run))
            for name in names:
                groups = [(run.seed, group) for run in final for group in groups_of(run) if group.group == name]
                found.append(_mean(task, method, part, name, groups))
    return found


def cells(found: Sequence[tuple[PlannedSet, ModelWeightsMoved]]) -> list[WeightCell]:
    """Returns the means over all final models of a method, by kind of module and layer."""
    result: list[WeightCell] = []
    for method in dict.fromkeys(plan.method for plan, _ in found if not plan.step):
        models = [model for plan, model in found if plan.method == method and not plan.step]
        layers = sorted({at.layer for model in models for at in model.weights if at.layer is not None})
        for kind in MODULE_KINDS:
            for layer in layers:
                groups = [
                    joined(kind, here)
                    for model in models
                    if (here := [at for at in model.weights if (at.kind, at.layer) == (kind, layer)])
                ]
                if groups:
                    result.append(_cell(method, layer, groups))
    return result


def contrasts(
    runs: Sequence[RunWeightsMoved], models: Sequence[tuple[PlannedSet, ModelWeightsMoved]], plan: DriftPlan
) -> list[WeightContrast]:
    """Compares every method with the reference: the distance of all weights from the base model's, and the share of intruders.

    The distance is over all weights, changed or not, so that methods that change other matrices are held to one measure; the share of intruders
    is over the matrices that all models of both methods changed on a task, since one intruder is a larger share of fewer matrices. The unit is the trained model; labels are exchanged within tasks. p-values are corrected over all contrasts (Holm).
    """
    found = [
        contrast
        for method in plan.comparison_methods
        for contrast in (_size_contrast(runs, method, plan), _intruder_contrast(runs, models, method, plan))
        if contrast is not None
    ]
    tested = [contrast.p for contrast in found if contrast.p is not None]
    adjusted = iter(holm(tested).tolist() if tested else [])
    return [c if c.p is None else c.model_copy(update={"p_adjusted": next(adjusted)}) for c in found]


_PARTS: dict[str, Callable[[RunWeightsMoved], Sequence[WeightGroup]]] = {
    "all": lambda run: [run.whole],
    "kind": lambda run: run.kinds,
    "layer": lambda run: run.layers,
}


def _mean(task: str, method: str, part: str, name: str, groups: Sequence[tuple[int, WeightGroup]]) -> WeightsOverSeeds:
    of = [group for _, group in groups]
    change, rank, share = ([g.relative_change for g in of], [g.rank_90 for g in of], [intruder_share(g) for g in of])
    return WeightsOverSeeds(
        task=task,
        method=method,
        part=part,  # pyright: ignore[reportArgumentType]
        group=name,
        seeds=[seed for seed, _ in groups],
        change_norm=float(np.mean([g.change_norm for g in of])),
        change_norm_sd=_spread([g.change_norm for g in of]),
        relative_change=_average(change),
        relative_change_sd=_spread(change),
        rank_90=_average(rank),
        rank_90_sd=_spread(rank),
        alignment_left=_average([g.alignment_left for g in of]),
        alignment_right=_average([g.alignment_right for g in of]),
        intruder_share=_average(share),
        intruder_share_sd=_spread(share),
    )


def _cell(method: str, layer: int, groups: Sequence[WeightGroup]) -> WeightCell:
    sizes = [g.relative_change for g in groups if g.relative_change is not None]
    moved = [math.log(size) for size in sizes if size > 0.0]
    change = math.exp(float(np.mean(moved))) if moved else 0.0 if sizes else None
    return WeightCell(
        method=method,
        kind=groups[0].group,  # pyright: ignore[reportArgumentType]
        layer=layer,
        models=len(groups),
        relative_change=change,
        intruders=_average([g.intruders for g in groups]),
    )


def _size_contrast(runs: Sequence[RunWeightsMoved], method: str, plan: DriftPlan) -> WeightContrast | None:
    sides = _sides(runs, method, plan, lambda run: run.whole.change_norm)
    if sides is None:
        return None
    a, b, strata, tasks = sides
    named = {"method": method, "reference": plan.reference_method, "quantity": "change_norm", "tasks": tasks}
    counts = {"models": len(a), "reference_models": len(b)}
    if min(*a, *b) <= 0.0:
        note = "a model's weights did not change at all, and a ratio takes changes above zero"
        return WeightContrast.model_validate({**named, **counts, "estimate": None, "note": note})
    ratio = log_ratio(a, b, strata=strata, confidence=plan.sampling.confidence)
    test = label_permutation_test(np.log(a), np.log(b), strata=strata, alternative="two-sided")
    low, high = (None, None) if ratio.interval is None else map(math.exp, ratio.interval)
    return WeightContrast.model_validate(
        {
            **named,
            **counts,
            "estimate": None if ratio.estimate is None else math.exp(ratio.estimate),
            "low": low,
            "high": high,
            "p": test.pvalue,
            "smallest_p": test.smallest_pvalue,
            "note": ratio.missing or None,
        }
    )


def _intruder_contrast(
    runs: Sequence[RunWeightsMoved],
    models: Sequence[tuple[PlannedSet, ModelWeightsMoved]],
    method: str,
    plan: DriftPlan,
) -> WeightContrast | None:
    shares = _shares_in_common(models, (method, plan.reference_method))
    sides = _sides(runs, method, plan, lambda run: shares.get((run.task, run.method, run.seed)))
    if sides is None:
        return None
    a, b, strata, tasks = sides
    difference = mean_difference(a, b, strata=strata, confidence=plan.sampling.confidence)
    same = len(set(a) | set(b)) == 1
    test = None if same else label_permutation_test(a, b, strata=strata, alternative="two-sided")
    low, high = (None, None) if difference.interval is None else difference.interval
    return WeightContrast(
        method=method,
        reference=plan.reference_method,
        quantity="intruder_share",
        tasks=tasks,
        models=len(a),
        reference_models=len(b),
        estimate=difference.estimate,
        low=low,
        high=high,
        p=None if test is None else test.pvalue,
        smallest_p=None if test is None else test.smallest_pvalue,
        note="every model has the same share: there is nothing to test" if same else difference.missing or None,
    )


def _shares_in_common(
    models: Sequence[tuple[PlannedSet, ModelWeightsMoved]], methods: tuple[str, str]
) -> dict[tuple[str, str, int], float | None]:
    """The share of intruders of each final model of two methods, in the matrices that all of them changed on the model's task."""
    final = [(plan, model) for plan, model in models if not plan.step and plan.method in methods]
    shares: dict[tuple[str, str, int], float | None] = {}
    for task in dict.fromkeys(plan.task for plan, _ in final):
        there = [(plan, model) for plan, model in final if plan.task == task]
        changed = [
            {(at.layer, at.module) for at in model.weights if at.change_norm > 0.0 and at.intruders is not None}
            for _, model in there
        ]
        common = set.intersection(*changed)
        for plan, model in there:
            group = joined("common", [at for at in model.weights if (at.layer, at.module) in common])
            shares[task, plan.method, plan.seed] = intruder_share(group)
    return shares


def _sides(
    runs: Sequence[RunWeightsMoved], method: str, plan: DriftPlan, value: Callable[[RunWeightsMoved], float | None]
) -> tuple[list[float], list[float], list[str], list[str]] | None:
    """The values of method and reference, the task of each value, and the tasks on which both have one; None if there is none."""
    final = [(run.task, run.method, number) for run in runs if not run.step and (number := value(run)) is not None]
    there = {(task, name) for task, name, _ in final}
    tasks = [task for task in plan.tasks if {(task, method), (task, plan.reference_method)} <= there]
    if not tasks:
        return None
    ours = [(task, number) for task, name, number in final if name == method and task in tasks]
    theirs = [(task, number) for task, name, number in final if name == plan.reference_method and task in tasks]
    strata = [task for task, _ in [*ours, *theirs]]
    return [number for _, number in ours], [number for _, number in theirs], strata, tasks


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _spread(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) >= LEAST_FOR_SPREAD else None
