"""Patterns in the drifts: which layers drift most, how drift goes with score, and how similar tasks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.errors import DegenerateInputError
from repdrift.core.outcome_words import score_title
from repdrift.core.records.claims import LayerRank, LayerRanking, ProfileLikeness, ScoreAssociation
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import counted, method_title, p_equals, pvalue
from repdrift.drift.analysis_plan import DriftPlan, TrainedModel
from repdrift.drift.inference.method_drifts import by_model, layer_drifts
from repdrift.drift.resampled_drift import ResampledDrifts
from repdrift.statistics import hierarchical_replicates, profile_correlations, rank_correlation, rank_layers

Floats = NDArray[np.floating]
SCORES = ("accuracy", "f1", "exact_match", "loss")
"""Each of these that some run has is correlated with drift, as it is: of a loss, less is better."""
_LEAST_MODELS = 2


def layer_rankings(primary: pd.DataFrame, plan: DriftPlan, draws: Mapping[str, ResampledDrifts]) -> list[LayerRanking]:
    """Rank the layers of each method by drift over all its tasks, with models and samples drawn anew.

    If a task has one model of the method, only samples are drawn anew: the ranking is then conditional on the models.
    """
    layers = sorted(int(layer) for layer in primary["layer"].unique())
    if len(layers) < 2:
        return []
    found: list[LayerRanking] = []
    for method in plan.methods:
        here = primary[primary["method"] == method]
        tasks = [task for task in plan.tasks if (here["task"] == task).any()]
        replicates: list[Floats] = []
        for task in tasks:
            models = [TrainedModel(method, int(seed)) for seed in here[here["task"] == task]["seed"].drop_duplicates()]
            drawn = [draws[task].of(models, layer).bootstrap if task in draws else None for layer in layers]
            if any(part is None for part in drawn):
                break
            replicates.append(np.stack([part for part in drawn if part is not None], axis=-1))  # (m, B, L)
        if not tasks or len(replicates) < len(tasks):
            continue
        in_order = pd.concat([here[here["task"] == task] for task in tasks])  # the order of the replicates' rows
        models_by_layer = layer_drifts(in_order, method, layers)
        table, strata = models_by_layer.drifts, models_by_layer.tasks
        estimate = np.mean([table[np.array(strata) == task].mean(axis=0) for task in tasks], axis=0)
        drawn_models = np.concatenate(replicates)
        if not np.isfinite(drawn_models).all():
            continue  # a resample in which a representation does not vary has no value, so there is nothing to rank
        several = all(part.shape[0] >= _LEAST_MODELS for part in replicates)
        if several:
            drawn_layers = hierarchical_replicates(drawn_models, table, strata=strata)
        else:
            drawn_layers = np.mean([part.mean(axis=0) for part in replicates], axis=0)
        ranking = rank_layers(drawn_layers, estimate, confidence=plan.sampling.confidence)
        found.append(
            LayerRanking(
                method=method,
                confidence=plan.sampling.confidence,
                over="models and samples" if several else "samples",
                layers=[
                    LayerRank(
                        layer=layer,
                        drift=float(estimate[i]),
                        rank=float(ranking.rank[i]),
                        rank_low=int(ranking.rank_low[i]),
                        rank_high=int(ranking.rank_high[i]),
                        may_be_largest=i in ranking.largest_set,
                    )
                    for i, layer in enumerate(layers)
                ],
            )
        )
    return found


def score_associations(primary: pd.DataFrame, statuses: Sequence[RunStatus], plan: DriftPlan) -> list[ScoreAssociation]:
    """Correlate the ranks of drift (mean over layers) and of each score, over final models, within tasks and methods.

    This is done for all methods together and for each method by itself. Each method in each task is a stratum of its own, so
    that differences between methods or tasks make no correlation.
    """
    drifts = by_model(primary)
    scores = {(s.task, s.method, s.seed): s.metrics for s in statuses if s.status == "ok" and s.step == 0}
    found: list[ScoreAssociation] = []
    for metric in SCORES:
        rows = [
            (str(r.task), str(r.method), float(r.drift), score)  # pyright: ignore[reportArgumentType]
            for r in drifts.itertuples()
            if (score := scores.get((r.task, r.method, r.seed), {}).get(metric)) is not None  # pyright: ignore[reportArgumentType, reportCallIssue]
        ]
        for method in (None, *plan.methods):
            kept = [row for row in rows if method in (None, row[1])]
            if kept:
                found.append(_association(metric, method, kept, plan.sampling.confidence))
    return found


def _association(
    metric: str, method: str | None, rows: Sequence[tuple[str, str, float, float]], confidence: float
) -> ScoreAssociation:
    whose = "all methods" if method is None else method_title(method)
    score = score_title(metric)
    against = f"{score} (less is better)" if metric == "loss" else score
    frame = pd.DataFrame(rows, columns=["task", "method", "drift", "score"])
    varied = [part for _, part in frame.groupby(["task", "method"], sort=False) if _varies(part)]
    if not varied:
        sentence = (
            f"Drift against {against}, {whose}: nothing to correlate, because no task has two models of one method that differ in "
            f"drift and in {score}."
        )
        return ScoreAssociation(
            metric=metric, method=method, correlation=None, low=None, high=None, pvalue=None, smallest_pvalue=None,
            n_units=len(rows), sentence=sentence,
        )  # fmt: skip
    used = pd.concat(varied)
    strata = [f"{task}\0{of}" for task, of in zip(used["task"], used["method"], strict=True)]
    found = rank_correlation(used["drift"].to_numpy(), used["score"].to_numpy(), strata=strata, confidence=confidence)
    left = len(rows) - len(used)
    interval = (
        f" ({found.missing})"
        if found.interval is None
        else f", interval {found.interval.low:.2f} to {found.interval.high:.2f}"
    )
    sentence = (
        f"Drift against {against}, {whose}, within tasks and methods: rank correlation {found.correlation:.2f}{interval}, "
        f"{p_equals(found.pvalue)} (smallest possible: {pvalue(found.smallest_pvalue)}), {counted(found.n_units, 'trained model')}."
    )
    if left:
        sentence += f" {left} more do not count: they are alone in their group, or its drifts or scores are all equal."
    return ScoreAssociation(
        metric=metric,
        method=method,
        correlation=found.correlation,
        low=found.interval.low if found.interval else None,
        high=found.interval.high if found.interval else None,
        pvalue=found.pvalue,
        smallest_pvalue=found.smallest_pvalue,
        n_units=found.n_units,
        sentence=sentence,
    )


def _varies(part: pd.DataFrame) -> bool:
    return len(part) > 1 and part["drift"].nunique() > 1 and part["score"].nunique() > 1


def profile_likenesses(primary: pd.DataFrame, plan: DriftPlan) -> list[ProfileLikeness]:
    """Correlate the layer profiles (mean over final models) of every two tasks, by method; None if a profile is constant."""
    layers = sorted(int(layer) for layer in primary["layer"].unique())
    if len(layers) < 3:
        return []
    found: list[ProfileLikeness] = []
    for method in plan.methods:
        here = primary[primary["method"] == method]
        tasks = [task for task in plan.tasks if (here["task"] == task).any()]
        profiles = {
            task: here[here["task"] == task].groupby("layer")["drift"].mean()[layers].to_numpy() for task in tasks
        }
        for task, other in combinations(tasks, 2):
            try:
                correlations = profile_correlations(profiles[task], profiles[other])
            except DegenerateInputError:
                pearson = spearman = None
            else:
                pearson, spearman = correlations.pearson, correlations.spearman
            found.append(
                ProfileLikeness(method=method, task=task, other_task=other, pearson=pearson, spearman=spearman)
            )
    return found
