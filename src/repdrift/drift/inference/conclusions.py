"""All conclusions from the drifts of the final models, by the primary measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from repdrift.core.equal_skill_words import different_scores, disagreement
from repdrift.core.hypotheses import METHOD_CLAIMS
from repdrift.core.records.claims import (
    Hypothesis,
    HypothesisTest,
    LayerCluster,
    LayerRanking,
    MixedModel,
    ProfileLikeness,
    Reduction,
    ScoreAssociation,
)
from repdrift.core.records.drift_predictors import DriftPredictors
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.study_info import RunStatus
from repdrift.core.site_rows import residual_rows
from repdrift.core.words import first_apart, method_title, sentence_case, some_listed, task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.inference.across_tasks import interaction, mixed_model
from repdrift.drift.inference.arm_families import Draft, clusters_over_arms, corrected_over_arms
from repdrift.drift.inference.drift_predictors import drift_predictors
from repdrift.drift.inference.equal_skill import equal_skill_claims
from repdrift.drift.inference.floors import above_identity, above_seed_ceiling
from repdrift.drift.inference.method_claims import (
    LayerComparison,
    alike_test,
    directional_test,
    directional_tests_by_layer,
    layer_clusters,
)
from repdrift.drift.inference.method_drifts import (
    ComparedTasks,
    by_model,
    compared_tasks,
    method_drifts,
    uneven_spread,
)
from repdrift.drift.inference.patterns import layer_rankings, profile_likenesses, score_associations
from repdrift.drift.inference.reductions import reduction
from repdrift.drift.inference.skill import Skill, skill_of
from repdrift.drift.resampled_drift import ResampledDrifts

Distances = Mapping[tuple[str, str], Mapping[int, NDArray[np.floating]]]
"""By task and method, then layer: drifts among base model (row 0) and m final models, (m + 1, m + 1)."""


@dataclass
class Conclusions:
    """Reductions, tests and patterns. warnings: sentences on what limits them."""

    reductions: list[Reduction] = field(default_factory=list)
    other_measures: list[Reduction] = field(default_factory=list)
    tests: list[HypothesisTest] = field(default_factory=list)
    clusters: list[LayerCluster] = field(default_factory=list)
    rankings: list[LayerRanking] = field(default_factory=list)
    associations: list[ScoreAssociation] = field(default_factory=list)
    profiles: list[ProfileLikeness] = field(default_factory=list)
    mixed_models: list[MixedModel] = field(default_factory=list)
    """One for each contrast that has tasks."""
    equal_skill: list[EqualSkill] = field(default_factory=list)
    predictors: list[DriftPredictors] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def entries(self) -> dict[str, Any]:
        """Returns the entries of `DriftResults` that hold the conclusions, by name. The warnings are not among them: each caller has others to put beside them."""
        return {
            "reductions": self.reductions,
            "tests": self.tests,
            "other_measures": self.other_measures,
            "clusters": self.clusters,
            "rankings": self.rankings,
            "associations": self.associations,
            "profiles": self.profiles,
            "equal_skill": self.equal_skill,
            "drift_predictors": self.predictors,
            "mixed_model": next(iter(self.mixed_models), None),
            "other_mixed_models": self.mixed_models[1:],
        }


def draw_conclusions(
    table: pd.DataFrame,
    plan: DriftPlan,
    *,
    draws: Mapping[tuple[str, str], ResampledDrifts] | None = None,
    distances: Distances | None = None,
    statuses: Sequence[RunStatus] = (),
    outcomes: pd.DataFrame | None = None,
) -> Conclusions:
    """Draw the conclusions from the final models (step 0) in the tidy table, and at equal skill from the checkpoints too.

    They are about the residual stream: rows of other sites take no part.

    Where several methods are compared with the reference, the tests of each claim are corrected over them.

    draws: drifts with samples drawn anew, by task and measure; without them there are no intervals over samples. distances:
    drifts among seeds; without them they are not tested. statuses: hold the runs' scores. outcomes: the table of outcomes;
    without it no drift is held against forgetting.
    """
    table = residual_rows(table)
    final = table[table["step"] == 0]
    primary = final[final["measure"] == plan.primary_measure]
    of_primary = {task: d for (task, name), d in (draws or {}).items() if name == plan.primary_measure}
    found = Conclusions()
    if not plan.comparison_methods:
        only = sentence_case(method_title(plan.reference_method))
        found.warnings.append(f"{only} is the only method of this study, so no method is compared with another.")
    contrasts = [_Contrast(of, compared_tasks(primary, of)) for of in plan.contrasts()]
    for contrast in contrasts:
        tasks = contrast.compared.names
        found.warnings += contrast.compared.warnings
        if tasks:
            skill = skill_of(statuses, tasks, contrast.plan)
            found.warnings += skill.warnings
            _compare_methods(contrast, primary, of_primary, skill)
            _other_measures(found, final, tasks, contrast.plan, draws or {}, skill)
    _put_together(found, contrasts, plan)
    found.warnings += _different_tasks(contrasts)
    found.tests += above_identity(primary, plan)
    found.tests += above_seed_ceiling(primary, distances or {}, plan)
    found.rankings = layer_rankings(primary, plan, of_primary)
    found.associations = score_associations(primary, statuses, plan)
    found.profiles = profile_likenesses(primary, plan)
    found.predictors = drift_predictors(final, statuses, outcomes, plan)
    found.equal_skill = equal_skill_claims(table[table["measure"] == plan.primary_measure], statuses, plan)
    found.warnings += [said for each in found.equal_skill if each.task != ALL_TASKS for said in each.conditions]
    found.warnings += different_scores(found.equal_skill)
    found.warnings += [said for each in found.equal_skill if (said := disagreement(each)) is not None]
    found.warnings = list(dict.fromkeys(found.warnings))
    return found


@dataclass
class _Contrast:
    """The findings about one method against the reference. clusters: by claim; None where they were not searched for."""

    plan: DriftPlan
    compared: ComparedTasks
    reductions: list[Reduction] = field(default_factory=list)
    tests: list[Draft | HypothesisTest] = field(default_factory=list)
    clusters: dict[Hypothesis, list[LayerCluster] | None] = field(default_factory=dict)
    mixed_model: MixedModel | None = None
    uneven: str | None = None


def _compare_methods(
    contrast: _Contrast, primary: pd.DataFrame, draws: Mapping[str, ResampledDrifts], skill: Skill
) -> None:
    """Adds the reductions, tests and clusters of one method against the reference, not yet corrected over arms."""
    plan, tasks = contrast.plan, contrast.compared.names
    measure, per_model = plan.primary_measure, by_model(primary)
    layers = sorted(int(layer) for layer in primary["layer"].unique())
    for task in [*tasks, ALL_TASKS]:
        here = [task] if task != ALL_TASKS else skill.pooled
        why = skill.untestable.get(task)
        frame = per_model[per_model["task"].isin(here)]
        whole = reduction(frame, task, None, measure, plan, draws)
        whole = whole if why is None else whole.model_copy(update={"notes": [*whole.notes, why]})
        contrast.reductions.append(whole)
        by_layer: dict[int, LayerComparison] = {}
        for layer in layers:
            of_layer = primary[(primary["layer"] == layer) & primary["task"].isin(here)]
            in_layer = reduction(of_layer, task, layer, measure, plan, draws)
            by_layer[layer] = LayerComparison(method_drifts(of_layer, plan, why), in_layer)
            contrast.reductions.append(in_layer)
        drifts = method_drifts(frame, plan, why)
        contrast.tests += [directional_test(drifts, name, whole, plan) for name in METHOD_CLAIMS]
        alike = alike_test(drifts, whole, plan)
        contrast.tests += [alike] if alike is not None else []
        if task == ALL_TASKS:
            for name in METHOD_CLAIMS:
                contrast.tests += directional_tests_by_layer(by_layer, name, plan)
                contrast.clusters[name] = layer_clusters(by_layer, name, plan)
            contrast.tests += interaction(drifts, whole, plan)
            contrast.uneven = uneven_spread(drifts, plan)
            contrast.mixed_model = mixed_model(drifts, whole, plan)


def _put_together(found: Conclusions, contrasts: Sequence[_Contrast], plan: DriftPlan) -> None:
    """Correct tests and clusters over the arms, and add what was found of every contrast, in the plan's order."""
    for name in METHOD_CLAIMS:
        searched = [c for c in contrasts if c.clusters.get(name) is not None]
        corrected = clusters_over_arms([c.clusters[name] or [] for c in searched])
        for contrast, clusters in zip(searched, corrected, strict=True):
            contrast.clusters[name] = clusters
    tests = corrected_over_arms([contrast.tests for contrast in contrasts])
    for contrast, of_contrast in zip(contrasts, tests, strict=True):
        found.reductions += contrast.reductions
        found.tests += [test.record(plan.alpha) if isinstance(test, Draft) else test for test in of_contrast]
        found.clusters += [cluster for clusters in contrast.clusters.values() for cluster in clusters or []]
        found.warnings += [contrast.uneven] if contrast.uneven is not None else []
        if contrast.mixed_model is not None:
            found.mixed_models.append(contrast.mixed_model)


def _different_tasks(contrasts: Sequence[_Contrast]) -> list[str]:
    """Returns a caution if the claims over all tasks rest on other tasks for one method than for another."""
    rest_on: dict[tuple[str, ...], list[str]] = {}
    for contrast in contrasts:
        for whole in contrast.reductions:
            if whole.task == ALL_TASKS and whole.layer is None:
                rest_on.setdefault(tuple(whole.tasks), []).append(method_title(contrast.plan.comparison_method))
    if len(rest_on) < 2:
        return []
    said = first_apart(
        [
            f"{some_listed(names, most=3)}: {some_listed([task_title(t) for t in tasks], most=3)}"
            for tasks, names in rest_on.items()
        ]
    )
    return [
        f"Reductions over all tasks are of other tasks for one method than for another ({said}), so they must not be compared with each "
        "other; those of a single task can be."
    ]


def _other_measures(
    found: Conclusions,
    final: pd.DataFrame,
    tasks: list[str],
    plan: DriftPlan,
    draws: Mapping[tuple[str, str], ResampledDrifts],
    skill: Skill,
) -> None:
    """Adds the reductions by measures that are not tested, over the tasks that have a value in every layer."""
    for name in plan.measures:
        if name == plan.primary_measure:
            continue
        rows = final[(final["measure"] == name) & final["task"].isin(tasks) & final["drift"].notna()]
        layers = final["layer"].nunique()
        complete = [
            task
            for task in tasks
            if len(here := rows[rows["task"] == task])
            and (here.groupby(["method", "seed"])["layer"].nunique() == layers).all()
        ]
        of_measure = {task: d for (task, measure), d in draws.items() if measure == name}
        pooled = [task for task in complete if task in skill.pooled]
        for task in [*complete, *([ALL_TASKS] if pooled else [])]:
            here = pooled if task == ALL_TASKS else [task]
            frame = by_model(rows[rows["task"].isin(here)])
            found.other_measures.append(reduction(frame, task, None, name, plan, of_measure))
