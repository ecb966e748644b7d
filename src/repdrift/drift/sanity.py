"""Checks of the whole comparison: is it a finding at all, or a broken comparison?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from repdrift.core.records.study_info import Control, SanityCheck
from repdrift.core.site_rows import residual_rows
from repdrift.core.words import layers_named, method_title, percent, short_number, task_title, times
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.control_conditions import ZERO_DRIFT, coarsest
from repdrift.drift.layer_measurement import Measured
from repdrift.drift.task_sets import TaskSets

_NOISE_LIMIT = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}
_MISPAIRED_LIMIT = 0.1
FIRST_LAYER_LIMIT = 0.3
"""More drift in the first layer points to a broken comparison rather than to fine-tuning."""
TOP_FEATURE_LIMIT = 0.5
"""Where one feature holds more of the variance than this share, CKA speaks mostly of that feature."""
_FLOAT32_FLOOR = 1e-10
_SAME_AS_RANDOM = 0.05
"""If the ratio of mean drifts is nearer to 1 than this in every layer of a task and method, training looks like noise."""


def sanity_checks(
    table: pd.DataFrame, measured: Measured, plan: DriftPlan, tasks: Sequence[TaskSets]
) -> list[SanityCheck]:
    """Returns every check: passed, failed, or None if the sets do not allow it."""
    table = residual_rows(table)
    primary = table[(table["measure"] == plan.primary_measure) & (table["step"] == 0)]
    controls = measured.controls
    n_sets = sum(len(sets.runs) for sets in tasks)
    return [
        SanityCheck(
            name="sample sets match",
            passed=True,
            detail=f"{n_sets} representation sets have the samples of their base model's set; others would have been refused.",
        ),
        _identity(controls, plan, tasks),
        _rounding(primary, measured.rounding, tasks),
        _mispaired(controls, plan),
        _first_layer(primary, tasks),
        _methods_differ(primary, plan),
        _random_change(primary),
        _top_feature(measured.top_feature_share),
    ]


def _identity(controls: list[Control], plan: DriftPlan, tasks: Sequence[TaskSets]) -> SanityCheck:
    drifts = [
        abs(c.drift)
        for c in controls
        if c.name == "identity" and c.measure == plan.primary_measure and c.drift is not None
    ]
    if not drifts:
        detail = "There is no second extraction of the base model, so the noise of extraction is not known."
        return SanityCheck(name="identity drift is noise", passed=None, detail=detail)
    dtype = _dtype(tasks)
    limit = _NOISE_LIMIT.get(dtype, _NOISE_LIMIT["float32"])
    detail = (
        f"The base model extracted twice drifts by at most {short_number(max(drifts))} (limit {limit:g} for {dtype})."
    )
    return SanityCheck(name="identity drift is noise", passed=max(drifts) <= limit, detail=detail)


def _rounding(
    primary: pd.DataFrame, rounding: Mapping[tuple[str, int], float], tasks: Sequence[TaskSets]
) -> SanityCheck:
    """Checks that the number format can hold drifts as small as those that were measured."""
    name, dtype = "drift is above the numerical floor", _dtype(tasks)
    if primary.empty:
        return SanityCheck(name=name, passed=None, detail="There is no final model.")
    smallest = float(primary.groupby(["task", "layer"])["drift"].mean().min())
    if not rounding:
        detail = f"Rounding to {dtype} makes drifts of less than a ten-billionth; the smallest mean drift of a layer is {short_number(smallest)}."
        return SanityCheck(name=name, passed=smallest > _FLOAT32_FLOOR, detail=detail)
    ratios = {
        (task, layer): float(primary[(primary["task"] == task) & (primary["layer"] == layer)]["drift"].mean()) / floor
        for (task, layer), floor in rounding.items()
        if floor > 0 and (primary["task"] == task).any()  # a task may have checkpoints only
    }
    if not ratios:
        return SanityCheck(name=name, passed=True, detail=f"Rounding to {dtype} makes no drift here.")
    (task, layer), ratio = min(ratios.items(), key=lambda item: item[1])
    detail = (
        f"Rounding the base representations once to {dtype} makes a drift of up to {short_number(max(rounding.values()))}. Mean drift is nearest "
        f"to that in layer {layer} on {task_title(task)}, where it is {times(ratio)} times as large."
    )
    return SanityCheck(name=name, passed=ratio > 1, detail=detail)


def _random_change(primary: pd.DataFrame) -> SanityCheck:
    """Checks that training moves representations differently from noise of the same size in the same weights."""
    name = "drift is not that of a random change"
    known = primary.dropna(subset=["random_change_drift"])
    if known.empty:
        detail = "There is no random change of the same size (it needs the weights; see `repdrift extract`)."
        return SanityCheck(name=name, passed=None, detail=detail)
    by_method = known.groupby(["task", "method"], sort=False)[["drift", "random_change_drift"]].mean()
    if (by_method["random_change_drift"] <= ZERO_DRIFT).any():
        detail = "On some task the random change of the same size does not drift, so there is nothing to compare with."
        return SanityCheck(name=name, passed=None, detail=detail)
    ratios = by_method["drift"] / by_method["random_change_drift"]
    said = ", ".join(
        f"{task_title(str(task))} {method_title(str(method))} {times(ratio)} times"
        for (task, method), ratio in ratios.items()  # pyright: ignore[reportGeneralTypeIssues]
    )
    detail = (
        "Mean drift as a multiple of the drift of the base model after noise of the same norm in the same weights: "
        f"{said}. A ratio near 1 in every layer would mean that the direction of training does not matter to this measure."
    )
    by_layer = known.groupby(["task", "method", "layer"], sort=False)[["drift", "random_change_drift"]].mean()
    apart = (by_layer["drift"] / by_layer["random_change_drift"] - 1).abs() > _SAME_AS_RANDOM
    return SanityCheck(name=name, passed=bool(apart.groupby(level=["task", "method"]).any().all()), detail=detail)


def _mispaired(controls: list[Control], plan: DriftPlan) -> SanityCheck:
    name = "mispaired samples are unrelated"
    values = [
        c.value for c in controls if c.name == "mispaired" and c.measure == plan.primary_measure and c.value is not None
    ]
    if not values:
        return SanityCheck(name=name, passed=None, detail="There is no final model.")
    worst = max(abs(v) for v in values)
    detail = f"With the rows of one side shuffled, {plan.primary_measure} is at most {short_number(worst)} from 0 (limit {_MISPAIRED_LIMIT})."
    return SanityCheck(name=name, passed=worst <= _MISPAIRED_LIMIT, detail=detail)


def _first_layer(primary: pd.DataFrame, tasks: Sequence[TaskSets]) -> SanityCheck:
    """Says how much the first layer drifts; where it is much, which causes were ruled out and which were not."""
    name = "first layer drifts little"
    first = primary[primary["layer"] == primary["layer"].min()]
    if first.empty:
        return SanityCheck(name=name, passed=None, detail="There is no final model.")
    worst = first.loc[first["drift"].idxmax()]
    largest = (
        f"The largest drift in layer {int(worst['layer'])} is {short_number(worst['drift'])} ({task_title(str(worst['task']))}, "
        f"{method_title(str(worst['method']))}, seed {worst['seed']})"
    )
    high = int((first["drift"] > FIRST_LAYER_LIMIT).sum())
    if not high:
        return SanityCheck(
            name=name, passed=True, detail=f"{largest}; more than {FIRST_LAYER_LIMIT} would need a cause."
        )
    detail = (
        f"{largest}; {high} of {len(first)} final models drift by more than {FIRST_LAYER_LIMIT} there, which is much for fine-tuning. Ruled out: "
        "mispaired samples and another truncation (the sets of a task have one fingerprint of samples and tokens)"
    )
    finals = [run.stored.metadata for sets in tasks for run in sets.runs if run.plan.step == 0]
    unknown = sum(said.base_weights_digest is None for said in finals)
    if not unknown:
        detail += ", and another base model (each run names the digest of this one's weights)."
    else:
        detail += f". Not ruled out: another base model, for {unknown} of {len(finals)} runs that do not name theirs."
    return SanityCheck(
        name=name, passed=False, detail=f"{detail} Left is training that is this strong: look at the learning rate."
    )


def _methods_differ(primary: pd.DataFrame, plan: DriftPlan) -> SanityCheck:
    name = "methods are told apart"
    profiles = {
        method: primary[primary["method"] == method].groupby(["task", "layer"])["drift"].mean()
        for method in dict.fromkeys((plan.reference_method, *plan.comparison_methods))
    }
    gaps: list[tuple[float, str]] = []
    for (one, of_one), (other, of_other) in combinations(profiles.items(), 2):
        joined = pd.concat([of_one, of_other], axis=1, join="inner")
        if not joined.empty:
            pair = f"{method_title(one)} and {method_title(other)}"
            gaps.append((float(np.abs(joined.iloc[:, 0] - joined.iloc[:, 1]).max()), pair))
    if not gaps:
        detail = "No task has final models of both methods."
        return SanityCheck(
            name=name, passed=None, detail=detail if len(profiles) < 3 else detail.replace("both", "two")
        )
    gap, pair = min(gaps)
    which = "the methods" if len(profiles) < 3 else f"the two methods that are most alike, {pair},"
    detail = f"Mean drift of {which} differs by up to {short_number(gap)}; equal drift would mean that one model was measured twice."
    return SanityCheck(name=name, passed=gap > 1e-9, detail=detail)


def _top_feature(shares: Mapping[tuple[str, int], float]) -> SanityCheck:
    (task, layer), share = max(shares.items(), key=lambda item: item[1])
    over = sorted({key[1] for key, value in shares.items() if value > TOP_FEATURE_LIMIT})
    detail = f"One feature holds at most {percent(share)} of the base representation's variance ({task_title(task)}, layer {layer})."
    if over:
        detail += f" More than half in {layers_named(over)}: there, plain CKA speaks mostly of that feature."
    return SanityCheck(name="no massive activation dominates", passed=not over, detail=detail)


def _dtype(tasks: Sequence[TaskSets]) -> str:
    """Returns the coarsest number format of the base sets, because it decides how large the noise is."""
    return coarsest(*(t for sets in tasks for t in (sets.base.metadata.compute_dtype, sets.base.metadata.dtype)))
