"""Methods against each other in how far content moves between layers: does it stand later in the model under one than under the other?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repdrift.core.records.layer_grid import BestLayer, LayerMoveContrast, RunGrid
from repdrift.core.words import pvalue
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.statistics import holm, label_permutation_test, mean_difference


def layers_moved(found: Sequence[BestLayer]) -> float | None:
    """Mean over a tuned model's layers of how many layers later their content stands than before; below 0: earlier. None without layers.

    Only a layer whose content is shown to have moved counts, by the base layer next to it that it matches best or as well.
    """
    if not found:
        return None
    moves = [at.layer - min(at.as_good, key=lambda of: abs(of - at.layer)) if at.moved else 0 for at in found]
    return float(np.mean(moves))


def layer_move_contrasts(runs: Sequence[RunGrid], plan: DriftPlan) -> list[LayerMoveContrast]:
    """Compares every method with the reference over trained models. p-values are corrected over the methods (Holm).

    Models in which no layer is told from another do not count. There is no test where so few models cannot reach the level of the analysis.
    """
    found = [contrast for method in plan.comparison_methods if (contrast := _contrast(runs, method, plan)) is not None]
    tested = [contrast.p for contrast in found if contrast.p is not None]
    adjusted = iter(holm(tested).tolist() if tested else [])
    return [c if c.p is None else c.model_copy(update={"p_adjusted": next(adjusted)}) for c in found]


def _contrast(runs: Sequence[RunGrid], method: str, plan: DriftPlan) -> LayerMoveContrast | None:
    told = [run for run in runs if run.found.no_interval is None and run.found.by_number]
    values = [(run.task, run.method, moved) for run in told if (moved := layers_moved(run.found.of_tuned)) is not None]
    there = {(task, name) for task, name, _ in values}
    tasks = [task for task in plan.tasks if {(task, method), (task, plan.reference_method)} <= there]
    if not tasks:
        return None
    ours = [(task, moved) for task, name, moved in values if name == method and task in tasks]
    theirs = [(task, moved) for task, name, moved in values if name == plan.reference_method and task in tasks]
    a, b = [moved for _, moved in ours], [moved for _, moved in theirs]
    strata = [task for task, _ in [*ours, *theirs]]
    contrast = LayerMoveContrast(
        method=method,
        reference=plan.reference_method,
        tasks=tasks,
        models=len(a),
        reference_models=len(b),
        mean=float(np.mean(a)),
        reference_mean=float(np.mean(b)),
        estimate=None,
    )
    difference = mean_difference(a, b, strata=strata, confidence=plan.sampling.confidence)
    low, high = (None, None) if difference.interval is None else difference.interval
    fields = {"estimate": difference.estimate, "low": low, "high": high, "note": difference.missing or None}
    if len({*a, *b}) == 1:
        fields["note"] = "content moved equally in every model: there is nothing to test"
        return contrast.model_copy(update=fields)
    test = label_permutation_test(a, b, strata=strata, alternative="two-sided")
    fields["smallest_p"] = test.smallest_pvalue
    if test.smallest_pvalue > plan.alpha:
        fields["note"] = (
            f"so few models cannot show a difference: the least p that they can give is {pvalue(test.smallest_pvalue)}"
        )
        return contrast.model_copy(update=fields)
    return contrast.model_copy(update={**fields, "p": test.pvalue})
