"""Conclusions by site: which site drifts most, attention or MLP, and whether one method drifts less at each site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from repdrift.core.hypotheses import LESS
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.site_drift import AdapterSize, AttentionOrMlp, SiteDrift, SiteDrifts
from repdrift.core.records.sites import RESID_POST, SITES
from repdrift.core.records.study_info import RunStatus
from repdrift.core.site_rows import with_site_column
from repdrift.core.words import task_title
from repdrift.drift.analysis_plan import DriftPlan, TrainedModel
from repdrift.drift.inference.arm_families import Draft, corrected_over_arms
from repdrift.drift.inference.method_claims import LayerComparison, directional_test, directional_tests_by_layer
from repdrift.drift.inference.method_drifts import by_model, compared_tasks, method_drifts
from repdrift.drift.inference.reductions import reduction
from repdrift.drift.inference.skill import skill_of
from repdrift.drift.inference.verdicts import Corrected, is_testable
from repdrift.drift.resampled_drift import ResampledDrifts
from repdrift.drift.site_difference import DrawnDifference, site_difference
from repdrift.drift.site_measurement import RELATIVE_SIZE, SITE_CHANGE, MeasuredSites
from repdrift.drift.site_sets import ADAPTER_SITE
from repdrift.statistics import benjamini_hochberg, holm

SiteDraws = Mapping[tuple[str, str], ResampledDrifts]
"""By task and site."""
_BOTH = ("attn_out", "mlp_out")


def site_drifts(
    table: pd.DataFrame,
    plan: DriftPlan,
    measured: MeasuredSites,
    stream_draws: Mapping[str, ResampledDrifts],
    statuses: Sequence[RunStatus] = (),
) -> list[SiteDrifts]:
    """Returns the conclusions for every task with sets that hold other sites, then over all of them if there are several.

    table: the whole tidy table. stream_draws: by task, draws of the residual stream by the primary measure, which stands among the sites.
    """
    tasks = [task for task in plan.tasks if task in measured.found]
    if not tasks:
        return []
    final = with_site_column(table)
    final = final[(final["step"] == 0) & final["task"].isin(tasks)]
    primary = final[(final["measure"] == plan.primary_measure) & final["drift"].notna()]
    draws = {**measured.draws, **{(task, RESID_POST): d for task, d in stream_draws.items() if task in tasks}}
    found = {task: _of_task(task, final, primary, plan, draws, measured) for task in tasks}
    if len(tasks) > 1:
        found[ALL_TASKS] = _of_all(tasks, final, primary, plan, draws, found)
    claims = _claims(primary, tasks, plan, draws, statuses)
    return [
        of.model_copy(update={"reductions": claims.reductions.get(task, []), "tests": claims.tests.get(task, [])})
        for task, of in found.items()
    ]


@dataclass
class _Claims:
    """By task, `all` among them: reductions and tests of every contrast and site."""

    reductions: dict[str, list[Reduction]] = field(default_factory=dict)
    tests: dict[str, list[HypothesisTest]] = field(default_factory=dict)


def _of_task(
    task: str,
    final: pd.DataFrame,
    primary: pd.DataFrame,
    plan: DriftPlan,
    draws: SiteDraws,
    measured: MeasuredSites,
) -> SiteDrifts:
    here, of_primary = final[final["task"] == task], primary[primary["task"] == task]
    methods = [method for method in plan.methods if (of_primary["method"] == method).any()]
    adapters = here[(here["site"] == ADAPTER_SITE) & (here["measure"] == RELATIVE_SIZE)]
    return SiteDrifts(
        task=task,
        drifts=[of for method in methods for of in _drifts(method, here, of_primary)],
        attention_or_mlp=[_attention_or_mlp(method, [task], here, of_primary, draws, plan) for method in methods],
        adapter_sizes=[
            AdapterSize(method=str(method), seed=int(seed), layer=int(layer), relative_size=float(value))
            for method, seed, layer, value in adapters[["method", "seed", "layer", "value"]].itertuples(index=False)
        ],
        massive={site: layers for (of, site), layers in measured.massive.items() if of == task},
        not_found=measured.not_found.get(task, {}),
        notes=measured.notes.get(task, []),
    )


def _of_all(
    tasks: Sequence[str],
    final: pd.DataFrame,
    primary: pd.DataFrame,
    plan: DriftPlan,
    draws: SiteDraws,
    found: Mapping[str, SiteDrifts],
) -> SiteDrifts:
    methods = [method for method in plan.methods if (primary["method"] == method).any()]
    absent: dict[str, str] = {}
    for task in tasks:
        for site, reason in found[task].not_found.items():
            absent.setdefault(site, f"on {task_title(task)} {reason}")
    massive: dict[str, list[int]] = {}
    for of in found.values():
        for site, layers in of.massive.items():
            massive[site] = sorted({*massive.get(site, []), *layers})
    pairs: list[AttentionOrMlp] = []
    for method in methods:
        with_method = [task for task in tasks if ((primary["task"] == task) & (primary["method"] == method)).any()]
        pairs.append(_attention_or_mlp(method, with_method, final, primary, draws, plan))
    return SiteDrifts(
        task=ALL_TASKS,
        drifts=[of for method in methods for of in _drifts(method, final, primary)],
        attention_or_mlp=pairs,
        massive=massive,
        not_found=absent,
    )


def _drifts(method: str, final: pd.DataFrame, primary: pd.DataFrame) -> list[SiteDrift]:
    """Returns the drift of each site under one method: means over layers and models within a task, then over tasks."""
    found: list[SiteDrift] = []
    changes = final[(final["measure"] == SITE_CHANGE) & (final["method"] == method)]
    for site in SITES:
        rows = primary[(primary["method"] == method) & (primary["site"] == site)]
        if rows.empty:
            continue
        layers = sorted(int(layer) for layer in rows["layer"].unique())
        change = changes[changes["site"] == site]
        found.append(
            SiteDrift(
                method=method,
                site=site,
                layers=layers,
                n_models=len(rows[["task", "seed"]].drop_duplicates()),
                drift=_mean(rows, "drift"),
                by_layer=_by_layer(rows, layers, "drift"),
                relative_change=_mean(change, "value"),
                change_by_layer=_by_layer(change, layers, "value"),
                noise_by_layer=_by_layer(rows, layers, "noise_floor"),
                change_noise_by_layer=_by_layer(change, layers, "noise_floor"),
                noise_floor=_mean(rows, "noise_floor"),
                mispaired_drift=_drift_of(_mean(rows, "mispaired_value"), rows),
                seed_ceiling_drift=_mean(rows, "seed_ceiling_drift"),
                random_change_drift=_mean(rows, "random_change_drift"),
            )
        )
    return found


def _mean(rows: pd.DataFrame, column: str) -> float | None:
    """Returns the mean over tasks of the mean over models and layers; None if a value is missing, since the mean over the rest is another number."""
    if column not in rows.columns or rows.empty or rows[column].isna().any():
        return None
    return float(rows.groupby("task")[column].mean().mean())


def _by_layer(rows: pd.DataFrame, layers: Sequence[int], column: str) -> list[float | None]:
    """Returns `_mean` in each layer."""
    return [_mean(rows[rows["layer"] == layer], column) for layer in layers]


def _drift_of(value: float | None, rows: pd.DataFrame) -> float | None:
    """Returns the drift of a value of the primary measure, by how drift follows from the value in these rows."""
    if value is None:
        return None
    is_distance = bool((rows["drift"] - rows["value"]).abs().max() == 0)
    return value if is_distance else 1 - value


def _attention_or_mlp(
    method: str, tasks: Sequence[str], final: pd.DataFrame, primary: pd.DataFrame, draws: SiteDraws, plan: DriftPlan
) -> AttentionOrMlp:
    rows = primary[(primary["method"] == method) & primary["site"].isin(_BOTH) & primary["task"].isin(tasks)]
    by_site = {site: rows[rows["site"] == site] for site in _BOTH}
    layers = sorted(set.intersection(*({int(layer) for layer in part["layer"]} for part in by_site.values())))
    for site, part in by_site.items():
        if part.empty:
            return _no_difference(method, f"{site} was not measured")
    if not layers:
        return _no_difference(method, "no layer has both sites")
    means = [
        part[part["layer"].isin(layers)].groupby(["task", "seed"], sort=False)["drift"].agg(["mean", "size"])
        for part in by_site.values()
    ]
    both = means[0].add_suffix("_a").join(means[1].add_suffix("_m"), how="inner")
    both = both[(both["size_a"] == len(layers)) & (both["size_m"] == len(layers))]
    if both.empty:
        return _no_difference(method, "no model has both sites in all layers")
    names = [str(task) for task, _ in both.index]
    drawn: list[DrawnDifference] = []
    for task in dict.fromkeys(names):
        models = [TrainedModel(method, int(seed)) for of, seed in both.index if of == task]
        drawn += _drawn(task, models, layers, draws)
    found = site_difference(
        method, layers, both["mean_a"].tolist(), both["mean_m"].tolist(), names, drawn, plan.sampling
    )
    changes = final[(final["measure"] == SITE_CHANGE) & (final["method"] == method) & final["layer"].isin(layers)]
    changes = changes[changes["task"].isin(names)]
    sizes = [_mean(changes[changes["site"] == site], "value") for site in _BOTH]
    return found.model_copy(update={"attention_change": sizes[0], "mlp_change": sizes[1]})


def _no_difference(method: str, reason: str) -> AttentionOrMlp:
    return AttentionOrMlp(
        method=method, layers=[], n_models=0, attention_drift=None, mlp_drift=None, difference=None, missing=reason
    )


def _drawn(task: str, models: Sequence[TrainedModel], layers: Sequence[int], draws: SiteDraws) -> list[DrawnDifference]:
    """Returns the difference of one task's models in every draw; nothing if a site has no draws."""
    sides = [draws.get((task, site)) for site in _BOTH]
    if any(side is None or not set(models) <= set(side.models) for side in sides):
        return []
    known = [side for side in sides if side is not None]
    top, bottom = (replace(side, layers=list(layers)).of(models, None) for side in known)
    bootstrap = delete_group = None
    if top.bootstrap is not None and bottom.bootstrap is not None:
        bootstrap = np.asarray((top.bootstrap - bottom.bootstrap).mean(axis=0))
    if top.delete_group is not None and bottom.delete_group is not None:
        delete_group = np.asarray((top.delete_group - bottom.delete_group).mean(axis=0))
    return [DrawnDifference(bootstrap, delete_group, known[0].units)]


def _claims(
    primary: pd.DataFrame, tasks: Sequence[str], plan: DriftPlan, draws: SiteDraws, statuses: Sequence[RunStatus]
) -> _Claims:
    """Returns reductions and tests of every contrast: over layers corrected over sites, in each layer over sites and layers, then over arms."""
    claims = _Claims()
    drafts: dict[str, list[list[Draft | HypothesisTest]]] = {}
    for contrast in plan.contrasts():
        for task, tests in _of_contrast(primary, tasks, contrast, draws, statuses, claims).items():
            drafts.setdefault(task, []).append(tests)
    for task, arms in drafts.items():
        corrected = corrected_over_arms(arms)
        claims.tests[task] = [
            test.record(plan.alpha) if isinstance(test, Draft) else test for of_arm in corrected for test in of_arm
        ]
    return claims


def _of_contrast(
    primary: pd.DataFrame,
    tasks: Sequence[str],
    plan: DriftPlan,
    draws: SiteDraws,
    statuses: Sequence[RunStatus],
    claims: _Claims,
) -> dict[str, list[Draft | HypothesisTest]]:
    found: dict[str, list[Draft | HypothesisTest]] = {}
    places: dict[int, LayerComparison] = {}
    for site in [site for site in SITES if site != RESID_POST and (primary["site"] == site).any()]:
        rows = primary[primary["site"] == site]
        of_site = {task: draws[task, site] for task in tasks if (task, site) in draws}
        with_both = compared_tasks(rows, plan).names
        if not with_both:
            continue
        skill = skill_of(statuses, with_both, plan)
        for task in [*with_both, *([ALL_TASKS] if len(tasks) > 1 else [])]:
            pooled = skill.pooled if task == ALL_TASKS else [task]
            here = rows[rows["task"].isin(pooled)]
            why = skill.untestable.get(task)
            whole = _reduction(by_model(here), task, None, plan, of_site, site, why)
            claims.reductions.setdefault(task, []).append(whole)
            if whole.reduction is not None:  # else nothing drifts there that one method could do less of
                of_models = method_drifts(by_model(here), plan, why)
                found.setdefault(task, []).append(directional_test(of_models, LESS, whole, plan))
            if task != ALL_TASKS and len(tasks) > 1:
                continue
            for layer in sorted(int(layer) for layer in here["layer"].unique()):
                in_layer = here[here["layer"] == layer]
                at = _reduction(in_layer, task, layer, plan, of_site, site, why)
                claims.reductions[task].append(at)
                if at.reduction is not None:
                    places[len(places)] = LayerComparison(method_drifts(in_layer, plan, why), at)
    found = {task: _corrected_over_sites(tests) for task, tests in found.items()}
    if places:
        task = next(iter(places.values())).reduction.task
        found.setdefault(task, []).extend(_by_place(places, plan))
    return found


def _reduction(
    frame: pd.DataFrame,
    task: str,
    layer: int | None,
    plan: DriftPlan,
    draws: Mapping[str, ResampledDrifts],
    site: str,
    why: str | None,
) -> Reduction:
    found = reduction(frame, task, layer, plan.primary_measure, plan, draws, site=site)
    return found if why is None else found.model_copy(update={"notes": [*found.notes, why]})


def _by_place(places: Mapping[int, LayerComparison], plan: DriftPlan) -> list[Draft | HypothesisTest]:
    """Returns the tests of all sites and layers, corrected over them: max-T where all places rest on the same models, which a joint relabelling needs."""
    models = {
        (tuple(at.drifts.comparison_tasks), tuple(at.drifts.comparison_seeds), tuple(at.drifts.reference_tasks), tuple(at.drifts.reference_seeds))
        for at in places.values()
    }  # fmt: skip
    if len(models) == 1:
        return directional_tests_by_layer(places, LESS, plan, unit="place")
    tests = [directional_test(at.drifts, LESS, at.reduction, plan) for at in places.values()]
    return _corrected_over_sites(tests, unit="place")


def _corrected_over_sites(tests: list[Draft | HypothesisTest], unit: str = "site") -> list[Draft | HypothesisTest]:
    """Returns the tests with p-values corrected by Holm over those that are testable; one test alone stays as it is."""
    places = [i for i, test in enumerate(tests) if isinstance(test, Draft) and is_testable(test.evidence)]
    drafts = [test for i in places if isinstance(test := tests[i], Draft)]
    if len(drafts) < 2:
        return tests
    less = [draft.evidence.pvalue for draft in drafts]
    more = [1.0 if draft.evidence.opposite_pvalue is None else draft.evidence.opposite_pvalue for draft in drafts]
    by_holm, opposite, by_bh = holm(less), holm(more), benjamini_hochberg(less)
    known = [draft.evidence.smallest_pvalue for draft in drafts]
    least = [smallest for smallest in known if smallest is not None]
    # Adjusted p-values rise with every p, so that they are smallest where all p-values are.
    smallest = holm(least) if len(least) == len(drafts) else None
    found = list(tests)
    for k, (i, draft) in enumerate(zip(places, drafts, strict=True)):
        corrected = Corrected(
            by="Holm",
            pvalue=float(by_holm[k]),
            opposite_pvalue=float(opposite[k]),
            smallest_pvalue=None if smallest is None else float(smallest[k]),
            max_t=None,
            holm=float(by_holm[k]),
            benjamini_hochberg=float(by_bh[k]),
            n_tests=len(drafts),
            family=f"{len(drafts)} {unit}s, {LESS}",
            unit=unit,
        )
        found[i] = replace(draft, evidence=replace(draft.evidence, corrected=corrected))
    return found
