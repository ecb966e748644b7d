"""Filters of a study's page: what its results have, in the words that people use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.sites import EMBEDDINGS_LAYER, RESID_POST, SITES
from repdrift.core.site_words import site_title
from repdrift.report.page.contents import Filter
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_AT_END = "end of training"


def study_filters(data: ReportData, table: pd.DataFrame) -> list[Filter]:
    """Returns the filters of the page, with the choices that `table` (see `drift_table`) has rows for."""
    study = data.results.study
    measures = _in_order(table["measure"], study.measures)
    sites = _in_order(table["site"], [*SITES])
    steps = sorted(int(step) for step in table["step"].unique() if step != 0)
    seeds = _in_order(table["seed"], study.seeds)
    return [
        Filter("task", "Task", _named(_in_order(table["task"], list(task_titles(data).values()))), []),
        Filter("arm", "Method", _named(_in_order(table["arm"], list(arm_titles(data).values()))), []),
        Filter("seed", "Seed", [(seed, str(seed)) for seed in seeds], []),
        Filter(
            "measure",
            "Measure",
            [(name, drift_definition(study, name)) for name in measures],
            [study.primary_measure],
            several=False,
        ),
        Filter("step", "Step", [(0, _AT_END), *((step, str(step)) for step in steps)], [0], several=False),
        Filter("site", "Site", [(site, site_title(site)) for site in sites], [RESID_POST], several=False),
        Filter(
            "layer",
            "Layer",
            [(layer, _layer(layer, data.layers)) for layer in sorted(int(layer) for layer in table["layer"].unique())],
            [],
            several=False,
            whole="All layers",
        ),
    ]


def _named(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def _in_order(found: pd.Series, order: Sequence[Any]) -> list[Any]:
    """Those of `order` that are found, then others that are found, ascending."""
    there = set(found.tolist())
    known = [value for value in dict.fromkeys(order) if value in there]
    return [*known, *sorted(there - set(known))]


def _layer(layer: int, layers: Sequence[int]) -> str:
    """A layer in words. The embeddings stand before all layers, the output of the final norm after them."""
    if layer in layers:
        return str(layer)
    return site_title("embeddings" if layer == EMBEDDINGS_LAYER else "final_norm")
