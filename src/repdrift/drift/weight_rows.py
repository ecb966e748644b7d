"""Rows of the tidy table about weights: how far training moved them in every layer, and at what rank."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.records.representation_set import ModuleChange
from repdrift.core.records.results import DRIFT_COLUMNS
from repdrift.core.records.sites import RESID_POST
from repdrift.drift.task_sets import TaskSets

WEIGHT_MEASURES: dict[str, str] = {
    "weight_relative_change": "||dW|| / ||W|| over the layer's changed weights",
    "weight_stable_rank": "stable rank of dW, mean over the layer's changed matrices",
    "lora_effective_rank": "effective rank of LoRA's B A, mean over the layer's adapted modules",
    "lora_rank_utilisation": "share of LoRA's rank that carries 99 % of B A, mean over the layer's adapted modules",
}
"""The measures of this module, in words. They are no similarities: their rows have a value and no drift."""


def layer_weight_measures(changes: Iterable[ModuleChange]) -> dict[int, dict[str, float]]:
    """Returns by layer the WEIGHT_MEASURES that are defined there.

    weight_relative_change: sqrt(sum ||dW||^2) / sqrt(sum ||W||^2) over the weights that changed. It is 0 if none changed, and
    missing if those that changed were all zero in the base model. weight_stable_rank: mean over changed matrices, weighted
    by ||dW||. lora_effective_rank, lora_rank_utilisation: plain means over adapted modules; a module whose B is zero counts
    as one that uses nothing. Modules outside the blocks, and layers without a compared module, have no entry.
    """
    by_layer: dict[int, list[ModuleChange]] = {}
    for change in changes:
        if change.layer is not None:
            by_layer.setdefault(change.layer, []).append(change)
    return {layer: _measures(by_layer[layer]) for layer in sorted(by_layer)}


def weight_rows(tasks: Sequence[TaskSets]) -> list[dict[str, Any]]:
    """Returns a row for every run, layer and weight measure; none for a set whose weights were not compared.

    The keys are DRIFT_COLUMNS. Only the run, the layer, `measure` and `value` are filled.
    """
    empty: dict[str, Any] = {**dict.fromkeys(DRIFT_COLUMNS, np.nan), "n": pd.NA, "above_noise": pd.NA, "interval": None}
    rows: list[dict[str, Any]] = []
    for sets in tasks:
        for run in sets.runs:
            by_layer = layer_weight_measures(run.stored.metadata.weight_changes or ())
            plan = run.plan
            named = {"task": plan.task, "method": plan.method, "seed": plan.seed, "step": plan.step}
            for layer in run.stored.layers:
                for name, value in by_layer.get(layer, {}).items():
                    rows.append({**empty, **named, "site": RESID_POST, "layer": layer, "measure": name, "value": value})
    return rows


def _measures(changes: list[ModuleChange]) -> dict[str, float]:
    measures: dict[str, float] = {}
    changed = [c for c in changes if c.change_norm > 0.0]
    size = math.hypot(*(c.norm for c in changed))
    if not changed or size > 0.0:
        measures["weight_relative_change"] = math.hypot(*(c.change_norm for c in changed)) / size if changed else 0.0
    ranked = [(c.stable_rank, c.change_norm) for c in changed if c.stable_rank is not None]
    if ranked:
        ranks, norms = zip(*ranked, strict=True)
        measures["weight_stable_rank"] = float(np.average(ranks, weights=norms))
    for name, values in (
        ("lora_effective_rank", [c.effective_rank for c in changes if c.effective_rank is not None]),
        ("lora_rank_utilisation", [c.rank_utilisation for c in changes if c.rank_utilisation is not None]),
    ):
        if values:
            measures[name] = float(np.mean(values))
    return measures
