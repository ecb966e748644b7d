"""Rows of the charts of weights: by kind of module and layer, from a study and from a comparison."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.weights import MODULE_KINDS, WeightGroup
from repdrift.core.weight_groups import joined, kind_groups, layer_groups
from repdrift.core.weights_words import group_title
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

QUANTITIES = {
    "relative_change": "relative change ||dW|| / ||W||",
    "rank_90": "rank that carries 90 % of the change",
    "intruder_share": "share of intruder dimensions",
}
"""Numbers of a group of weights, with their titles."""
CELL_COLUMNS = ["arm", "kind", "layer", "relative_change", "intruders", "models"]
GROUP_COLUMNS = ["panel", "part", "task", "arm", "kind", "layer", "value", "sd", "models"]


def study_cells(data: ReportData) -> pd.DataFrame:
    """One row for each method, kind of module and layer: geometric mean of the relative change over the final models of all tasks."""
    moved, arms = data.results.moved, arm_titles(data)
    cells = moved.weights.cells if moved is not None and moved.weights is not None else []
    place = {kind: number for number, kind in enumerate(MODULE_KINDS)}
    rows = [
        {
            "arm": arms[at.method], "kind": group_title(at.kind), "layer": at.layer, "relative_change": at.relative_change, "intruders": at.intruders, "models": at.models,
        }
        for at in sorted(cells, key=lambda at: place[at.kind])
        if at.method in arms
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=CELL_COLUMNS)


def study_groups(data: ReportData) -> pd.DataFrame:
    """One row for each task, method, kind or layer, and number of `QUANTITIES`: the mean over seeds, with its standard deviation."""
    moved, arms, tasks = data.results.moved, arm_titles(data), task_titles(data)
    found = moved.weights.over_seeds if moved is not None and moved.weights is not None else []
    rows: list[dict[str, object]] = []
    for at in found:
        if at.part == "all" or at.method not in arms or (at.part == "layer" and not at.group.isdigit()):
            continue
        common = {"part": at.part, "task": tasks[at.task], "arm": arms[at.method], "models": len(at.seeds), **_place(at.part, at.group)}  # fmt: skip
        rows += [
            {**common, "panel": title, "value": getattr(at, name), "sd": getattr(at, f"{name}_sd")}
            for name, title in QUANTITIES.items()
            if getattr(at, name) is not None
        ]
    return pd.DataFrame(rows, columns=GROUP_COLUMNS)


def comparison_cells(comparison: Comparison) -> pd.DataFrame:
    """One row for each model, kind of module and layer: the changes of its weights joined."""
    rows: list[dict[str, object]] = []
    for model in comparison.models:
        weights = [] if model.moved is None or model.moved.weights is None else model.moved.weights.weights
        for kind in MODULE_KINDS:
            for layer in sorted({at.layer for at in weights if at.kind == kind and at.layer is not None}):
                group = joined(kind, [at for at in weights if (at.kind, at.layer) == (kind, layer)])
                rows.append(
                    {
                        "arm": model.name, "kind": group_title(kind), "layer": layer, "relative_change": group.relative_change, "intruders": group.intruders, "models": 1,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows, columns=CELL_COLUMNS)


def comparison_groups(comparison: Comparison) -> pd.DataFrame:
    """One row for each model, kind or layer, and number of `QUANTITIES`."""
    rows: list[dict[str, object]] = []
    for model in comparison.models:
        weights = [] if model.moved is None or model.moved.weights is None else model.moved.weights.weights
        common = {"task": comparison.task, "arm": model.name, "models": 1}
        rows += _group_rows(kind_groups(weights), "kind", common)
        rows += _group_rows((group for group in layer_groups(weights) if group.group.isdigit()), "layer", common)
    return pd.DataFrame(rows, columns=GROUP_COLUMNS)


def _group_rows(groups: Iterable[WeightGroup], part: str, common: dict[str, object]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for group in groups:
        share = group.intruders / group.vectors if group.intruders is not None and group.vectors else None
        values = {"relative_change": group.relative_change, "rank_90": group.rank_90, "intruder_share": share}
        rows += [
            {**common, "part": part, **_place(part, group.group), "panel": QUANTITIES[name], "value": value}
            for name, value in values.items()
            if value is not None
        ]
    return rows


def _place(part: str, group: str) -> dict[str, object]:
    return {"kind": group_title(group), "layer": None} if part == "kind" else {"kind": None, "layer": int(group)}
