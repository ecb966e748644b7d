"""Drift by layer of a comparison as the page's charts take it: every model, site and measure, beside the controls."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.results import DEFAULT_MEASURES, PRIMARY_MEASURE
from repdrift.core.records.sites import RESID_POST
from repdrift.core.words import task_title
from repdrift.report.page.contents import DRIFT_TABLE_COLUMNS

COLUMNS = (
    *DRIFT_TABLE_COLUMNS,
    "rounding",  # float: drift of the base model with weights rounded as the model's are
    "mispaired",  # float: drift with samples that do not belong together
    "above_noise",  # str: yes, no, not known
)
"""The columns of the table."""

WITHOUT_TITLES = frozenset(DEFAULT_MEASURES)
"""Measures whose drift is 1 - value in records, too, that do not say what drift is by each."""


def drift_table(result: Comparison) -> pd.DataFrame:
    """Returns one row for each model, site, layer and measure that has a drift, with the columns of `COLUMNS`.

    Controls are those of debiased CKA; other measures have an interval where one was asked for. A measure of an older record that does not say whether it is a distance is
    left out.
    """
    rows: list[dict[str, object]] = []
    for model in result.compared:
        for site, layers in places(model):
            base = result.base_layers if site == RESID_POST else result.base_sites.get(site, [])
            floors = {at.layer: at.noise_floor for at in base}
            common = {"task": task_title(result.task), "arm": model.name, "seed": 0, "step": 0, "site": site}
            for at in layers:
                rows += [{**common, **row} for row in _measures(result, at, floors)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def places(model: ComparedModel) -> list[tuple[str, list[LayerDrift]]]:
    """Returns the layers of a model at every site that it has drifts of, the residual stream first."""
    return [(RESID_POST, model.layers), *((of.site, of.layers) for of in model.sites)]


def _measures(result: Comparison, at: LayerDrift, floors: Mapping[int, float | None]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, value in {PRIMARY_MEASURE: 1 - at.drift, **at.values}.items():
        if value is None or not (name in result.measure_titles or name in WITHOUT_TITLES):
            continue
        row: dict[str, object] = {"measure": name, "layer": at.layer}
        if name == PRIMARY_MEASURE:
            row |= {
                "drift": at.drift,
                "drift_low": at.drift_low,
                "drift_high": at.drift_high,
                "noise_floor": floors.get(at.layer),
                "random_change": at.random_change_drift,
                "rounding": at.rounding_drift,
                "mispaired": at.mispaired_drift,
                "above_noise": {True: "yes", False: "no", None: "not known"}[at.above_noise],
            }
        else:
            row["drift"] = value if name in result.distances else 1 - value
            if (interval := at.intervals.get(name)) is not None:
                row |= {"drift_low": interval.low, "drift_high": interval.high}
        rows.append(row)
    return rows
