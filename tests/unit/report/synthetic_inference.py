"""What the analysis infers from a synthetic table: the part of the results that rests on statistics.

`base_inference` is the one place that calls the analysis. What it does not fill (yet), `enriched` fills with plausible numbers
of the right shape: they follow from the table, but no test has made them.
"""

from itertools import combinations
from pathlib import Path

import numpy as np

from repdrift.core.records.claims import (
    EffectSize,
    HypothesisTest,
    Interval,
    LayerCluster,
    LayerRank,
    LayerRanking,
    MixedModel,
    PairedTest,
    ProfileLikeness,
    ScoreAssociation,
)
from repdrift.drift.analysis_plan import BaseSets, DriftPlan
from repdrift.drift.inference import draw_conclusions

REFERENCE, COMPARISON, MARGIN, ALPHA = "full_finetune", "lora", 1.25, 0.05
TOO_FEW = "no interval over models: they need two models of each method"


def base_inference(study, table):
    """Reductions, tests of the two claims about methods and warnings as `repdrift analyze` makes them, without any interval.

    Max-T is taken away too, so that there are results whose verdicts rest on Holm, as with unequal numbers of models.
    """
    bases = {task: BaseSets(Path("base"), Path("again"), "extract") for task in study.tasks}
    plan = DriftPlan(
        study=study.name, model=study.model, tasks=study.tasks, methods=study.methods, seeds=study.seeds, sets=[], bases=bases,
        measures=study.measures[:1], target_reduction=0.2, alpha=ALPHA, primary_measure=study.measures[0],
        comparison_methods=study.compared,
    )  # fmt: skip
    found = draw_conclusions(table, plan, statuses=study.runs())
    bare = {"intervals": [], "difference_intervals": [], "effects": [], "notes": []}
    claims = [t for t in found.tests if t.hypothesis in ("comparison_drifts_less", "reduction_exceeds_target")]
    return {
        "reductions": [r.model_copy(update=bare) for r in found.reductions],
        "tests": [_with_holm(t, study.layers) for t in claims],
        "warnings": found.warnings,
    }


def enriched(found, study, table):
    """`found` with every other part of the results filled."""
    primary = table[(table.measure == study.measures[0]) & (table.step == 0)]
    compared = [task for task in study.tasks if task in {r.task for r in found["reductions"]}]
    found["reductions"] = [_with_intervals(r) for r in found["reductions"]]
    found["tests"] = [_with_max_t(t) for t in found["tests"]]
    if compared:
        smallest = max(0.0001, 0.05 ** len(compared))
        found["tests"] += list(_comparison_tests(study, compared, smallest))
        found["clusters"] = _clusters(found["tests"], study.layers, smallest)
        found["mixed_model"] = _mixed_model(found["reductions"], compared)
        found["other_measures"] = [
            next(r for r in found["reductions"] if (r.task, r.layer) == ("all", None)).model_copy(
                update={"measure": measure}
            )
            for measure in study.measures[1:]
        ]
    for method in study.methods:
        found["tests"] += list(_floor_tests(study, primary[primary.method == method], method))
    found["rankings"] = list(_rankings(study, primary))
    if study.metrics:
        found["associations"] = list(_associations(study, primary))
    found["profiles"] = list(_profiles(study, primary))
    return found


def _with_intervals(r):
    several = min(len(r.reference_by_seed), len(r.comparison_by_seed)) > 1
    if r.reduction is None:
        return r.model_copy(update={"notes": ["the mean drift of full_finetune is not above 0"]})
    widths = {"samples": 0.02} | ({"models": 0.06, "models and samples": 0.07} if several else {})
    intervals = [
        Interval(over=over, low=r.reduction - 1.2 * w, high=r.reduction + w, method="log ratio, Student's t")
        for over, w in widths.items()
    ]
    difference = r.comparison_drift - r.reference_drift
    effects = [
        EffectSize(name=name, estimate=value, low=value - 0.1 if several else None, high=value + 0.1 if several else None,
                   missing=None if several else TOO_FEW)
        for name, value in (("difference", difference), ("ratio", 1 - r.reduction), ("log_ratio", -0.3))
    ]  # fmt: skip
    effects.append(
        EffectSize(name="cliffs_delta", estimate=None, low=None, high=None, missing="fewer than 5 models a method")
    )
    return r.model_copy(update={"intervals": intervals, "effects": effects, "notes": [] if several else [TOO_FEW]})


def _with_holm(t, layers):
    if t.n_arms > 1:
        return t
    changes = {"interval": None}
    if t.correction is not None:
        smallest = None if t.smallest_pvalue is None else min(1.0, layers * t.smallest_pvalue)
        changes |= {
            "pvalue_max_t": None,
            "correction": "Holm",
            "deciding_pvalue": t.pvalue_holm,
            "smallest_deciding_pvalue": smallest,
        }
    return t.model_copy(update=changes)


def _with_max_t(t):
    if t.pvalue is None:
        return t
    if t.layer is None:
        return t.model_copy(update={"paired": PairedTest(pvalue=0.125, smallest_pvalue=0.125, n_pairs=3)})
    if t.n_arms > 1:
        return t
    max_t = max(t.smallest_pvalue or 0.0, min(1.0, 2.5 * t.pvalue))
    verdict = "supported" if max_t <= ALPHA else "undecided" if t.verdict == "supported" else t.verdict
    decided = {"correction": "max-T", "deciding_pvalue": max_t, "smallest_deciding_pvalue": t.smallest_pvalue}
    return t.model_copy(update={"pvalue_max_t": max_t, "verdict": verdict} | decided)


def _test(study, hypothesis, **fields):
    corrected = None if fields.get("layer") is None else "max-T"
    smallest = fields.get("smallest_pvalue", 0.0025)
    common = {"correction": corrected, "deciding_pvalue": fields["pvalue"], "smallest_deciding_pvalue": smallest}
    common |= {"hypothesis": hypothesis, "task": "all", "layer": None, "measure": study.measures[0], "exact": True,
              "n_permutations": 400, "n_units": 6, "statistic": 1.0, "smallest_pvalue": smallest}  # fmt: skip
    return HypothesisTest(**common | fields)


def _comparison_tests(study, compared, smallest):
    for task in dict.fromkeys([*compared, "all"]):
        interval = Interval(over="models", low=0.6, high=0.85, method="log ratio, Student's t")
        yield _test(
            study, "methods_equivalent", task=task, test="two one-sided label permutations", estimate=study.lora_share,
            interval=interval, margin=MARGIN, pvalue=0.31, verdict="undecided", smallest_pvalue=smallest,
            sentence=f"Whether the methods drift alike on {task}, within a factor of {MARGIN}, is undecided (p = 0.31).",
        )  # fmt: skip
    if len(compared) > 1:
        yield _test(
            study, "method_task_interaction", test="Welch's F of log ratios", estimate=0.14, smallest_pvalue=None, n_permutations=None, pvalue=0.62, verdict="undecided",
            sentence="The reduction is much the same on all tasks (p = 0.62).",
        )  # fmt: skip


def _floor_tests(study, primary, method):
    """Above the noise everywhere; above the seeds but in the lowest layers."""
    means = primary.groupby("layer").drift.mean()
    units = len(primary[["task", "seed"]].drop_duplicates())
    for hypothesis, factor in (("drift_above_identity", 1.0), ("drift_above_seed_ceiling", 0.5)):
        if units < 2 or (hypothesis == "drift_above_identity" and not study.identity):
            continue
        for layer in (None, *means.index):
            estimate = factor * float(means.mean() if layer is None else means[layer])
            pvalue = 0.0025 if estimate > 0.01 else 0.2
            verdict = "supported" if pvalue <= ALPHA else "undecided"
            yield _test(
                study, hypothesis, method=method, layer=layer, test="sign flips", estimate=estimate, n_units=units, pvalue=pvalue,
                pvalue_max_t=None if layer is None else pvalue, verdict=verdict, family=f"{len(means)} layers, {hypothesis}",
                sentence=f"{method} drifts by {estimate:.3f} more than the floor (p = {pvalue}).",
            )  # fmt: skip


def _clusters(tests, layers, smallest):
    held = [
        t.layer
        for t in tests
        if t.layer is not None
        and t.hypothesis == "comparison_drifts_less"
        and t.pvalue is not None
        and t.pvalue <= ALPHA
    ]
    runs = [[held[0], held[0]]] if held else []
    for layer in held[1:]:
        if layer == runs[-1][1] + 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return [
        LayerCluster(
            hypothesis="comparison_drifts_less", first_layer=first, last_layer=last, mass=3.0 * (last - first + 1), threshold=2.1,
            pvalue=max(smallest, 0.01 if last - first > layers // 6 else 0.3), smallest_pvalue=smallest,
        )
        for first, last in runs
    ]  # fmt: skip


def _rankings(study, primary):
    for method in study.methods:
        means = primary[primary.method == method].groupby("layer").drift.mean()
        if means.empty:
            continue
        ranks = means.rank(ascending=False)
        slack = max(1, len(means) // 8)
        layers = [
            LayerRank(
                layer=layer, drift=means[layer], rank=rank, rank_low=max(1, int(rank) - slack),
                rank_high=min(len(means), int(rank) + slack), may_be_largest=rank <= 1 + slack,
            )
            for layer, rank in ranks.items()
        ]  # fmt: skip
        yield LayerRanking(method=method, confidence=0.95, over="samples", layers=layers)


def _associations(study, primary):
    units = len(primary[["task", "method", "seed"]].drop_duplicates())
    for metric in ("accuracy", "f1"):
        for method in (None, *study.methods):
            known = units > 3
            yield ScoreAssociation(
                metric=metric, method=method, correlation=-0.31 if known else None, low=-0.7 if known else None,
                high=0.2 if known else None, pvalue=0.21 if known else None, smallest_pvalue=0.002 if known else None,
                n_units=units, sentence=f"More drift goes with less {metric}, but for chance (p = 0.21)." if known
                else f"{units} trained models are too few for a correlation.",
            )  # fmt: skip


def _profiles(study, primary):
    profiles = primary.groupby(["method", "task", "layer"]).drift.mean()
    for method in study.methods:
        for one, other in combinations(study.tasks, 2):
            if not {(method, one), (method, other)} <= set(profiles.droplevel("layer").index):
                continue
            a, b = profiles[method, one].to_numpy(), profiles[method, other].to_numpy()
            pearson = float(np.corrcoef(a, b)[0, 1]) if len(a) > 2 else None
            yield ProfileLikeness(
                method=method, task=one, other_task=other, pearson=pearson, spearman=None if pearson is None else 0.9 * pearson
            )  # fmt: skip


def _mixed_model(reductions, compared):
    if len(compared) < 2:
        return MixedModel(
            reduction=None, low=None, high=None, pvalue=None, n_units=6, missing="one task: no effect of tasks"
        )
    overall = next(r for r in reductions if (r.task, r.layer) == ("all", None))
    if overall.reduction is None:
        return MixedModel(
            reduction=None, low=None, high=None, pvalue=None, n_units=6, missing="drift that is not above 0 has no log"
        )
    low, high = overall.reduction - 0.09, overall.reduction + 0.08
    return MixedModel(reduction=overall.reduction, low=low, high=high, pvalue=0.004, n_units=6 * len(compared))
