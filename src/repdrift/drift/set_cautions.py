"""Sentences on what limits the claims: sets that are missing, unchanged, cut or not what they seem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from repdrift.core.learnt_words import judged_models, learnt_cautions
from repdrift.core.records.quantised_base import measured_on_full_base
from repdrift.core.records.study_info import RunStatus
from repdrift.core.sink_words import sink_cautions
from repdrift.core.site_rows import residual_rows
from repdrift.core.words import first_apart, method_title, some_listed, task_title
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.task_sets import TaskSets

"""Runs that one sentence names."""


def set_cautions(
    statuses: Sequence[RunStatus], tasks: Sequence[TaskSets], table: pd.DataFrame, plan: DriftPlan
) -> list[str]:
    """Returns every caution about the sets and their drifts, the most important first."""
    return [
        *learnt_cautions(judged_models(statuses)),
        *_missing(statuses),
        *_unchanged(table, plan),
        *_same_weights(tasks),
        *_learned_prompts(tasks),
        *_quantised_bases(tasks),
        *_precision(tasks),
        *_truncated(tasks),
        *(
            f"Task {task_title(sets.task)}: {caution}"
            for sets in tasks
            if sets.base.metadata.sinks is not None
            for caution in sink_cautions(sets.base.metadata.sinks)
        ),
    ]


def _missing(statuses: Sequence[RunStatus]) -> list[str]:
    absent = [status for status in statuses if status.status != "ok"]
    if not absent:
        return []
    named = first_apart(
        [
            f"{task_title(s.task)}, {method_title(s.method)}, seed {s.seed}" + (f", step {s.step}" if s.step else "")
            for s in absent
        ]
    )
    return [
        f"{len(absent)} of {len(statuses)} planned runs are not there ({named}). Nothing is said about them, and no number is "
        "put in their place."
    ]


def _unchanged(table: pd.DataFrame, plan: DriftPlan) -> list[str]:
    """One sentence on all runs without any drift, and one on all without drift above noise.

    A checkpoint counts only after one of its run that has moved: the first steps of a training may move nothing, since the
    learning rate rises from zero.
    """
    rows = residual_rows(table)
    primary = rows[rows["measure"] == plan.primary_measure]
    words: dict[tuple[str, str, int, int], list[str] | None] = {}
    nothing: list[str] = []
    noise: list[str] = []
    for (task, method, seed, step), rows in primary.groupby(["task", "method", "seed", "step"], sort=False):
        kind = None
        if bool((rows["drift"].abs() <= ZERO_DRIFT).all()):
            kind = nothing
        elif bool(rows["above_noise"].eq(False).fillna(False).all()):  # unknown where there is no noise floor
            kind = noise
        words[str(task), str(method), int(seed), int(step)] = kind  # pyright: ignore[reportArgumentType]
    for (task, method, seed, step), kind in words.items():
        moved = [at for (t, m, s, at), k in words.items() if (t, m, s) == (task, method, seed) and k is None and at]
        if kind is not None and (step == 0 or any(at < step for at in moved)):
            kind.append(f"{task_title(task)}, {method_title(method)}, seed {seed}, step {step}")
    found: list[str] = []
    if nothing:
        found.append(
            f"{_runs(nothing)}: drift is exactly zero in every layer, so this training changed nothing. Likely causes: an adapter "
            "whose B is zero or that was not loaded, training without a step, or the base model under another name."
        )
    if noise:
        found.append(
            f"{_runs(noise)}: drift is above the noise of extraction in no layer. This training changed almost nothing, or its "
            "adapter was not loaded."
        )
    return found


def _runs(names: Sequence[str]) -> str:
    """One run by its name; several with their number, the first few by name."""
    if len(names) == 1:
        return names[0]
    return f"{len(names)} runs ({first_apart(names)})"


def _same_weights(tasks: Sequence[TaskSets]) -> list[str]:
    found: list[str] = []
    for sets in tasks:
        holders: dict[str, list[str]] = defaultdict(list)
        for run in sets.runs:
            if run.plan.step == 0:
                digest = run.stored.metadata.weights_digest
                holders[digest].append(f"{method_title(run.plan.method)} seed {run.plan.seed}")
        found += [
            f"Task {task_title(sets.task)}: {some_listed(names, most=3)} have the same weights. They are one trained model counted "
            f"{len(names)} times, so the p-values are too small."
            for names in holders.values()
            if len(names) > 1
        ]
    return found


def _learned_prompts(tasks: Sequence[TaskSets]) -> list[str]:
    """One sentence on every arm whose models read learned positions before the text."""
    lengths: dict[str, set[int]] = defaultdict(set)
    for sets in tasks:
        for run in sets.runs:
            if run.stored.metadata.virtual_tokens:
                lengths[run.plan.method].add(run.stored.metadata.virtual_tokens)
    return [
        f"{method_title(method)} is a learned prompt: {' or '.join(map(str, sorted(tokens)))} virtual tokens stand before every text, and no "
        "weight differs from the base model's. Rows are of the text's own tokens, which stand that much later than in the base model; an "
        "untrained prompt moves them too. There is no random change of the same size to hold it against."
        for method, tokens in lengths.items()
    ]


def _quantised_bases(tasks: Sequence[TaskSets]) -> list[str]:
    """One sentence on every arm whose adapters were trained on a base model in few bits."""
    found: dict[str, float | None] = {}
    for sets in tasks:
        for run in sets.runs:
            quantised = run.stored.metadata.run_quantised_base
            if quantised is not None:
                found[run.plan.method] = max(quantised.rounding or 0.0, found.get(run.plan.method) or 0.0) or None
    return [f"{method_title(method)} {measured_on_full_base(rounding)}" for method, rounding in found.items()]


def _precision(tasks: Sequence[TaskSets]) -> list[str]:
    found: list[str] = []
    for sets in tasks:
        base = sets.base.metadata
        others = [
            f"{method_title(run.plan.method)} seed {run.plan.seed} ({said.compute_dtype}, stored as {said.dtype})"
            for run in sets.runs
            if ((said := run.stored.metadata).compute_dtype, said.dtype) != (base.compute_dtype, base.dtype)
        ]
        if others:
            found.append(
                f"Task {task_title(sets.task)}: the base model was extracted in {base.compute_dtype} (stored as {base.dtype}), "
                f"but {some_listed(others, most=3)}. Part of their drift is rounding, which the noise floor does not show."
            )
    return found


def _truncated(tasks: Sequence[TaskSets]) -> list[str]:
    return [
        f"Task {task_title(sets.task)}: {cut} of {len(sets.base.metadata.sample_ids)} samples were cut at the maximum length, "
        "alike for all models."
        for sets in tasks
        if (cut := sets.base.metadata.truncated_samples)
    ]
