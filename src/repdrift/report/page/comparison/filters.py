"""Filters of a comparison's page: models, measures, sites and layers that it has drifts of, in the words that people use."""

from __future__ import annotations

import pandas as pd

from repdrift.core.measure_words import drift_in_words
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.records.sites import EMBEDDINGS_LAYER, RESID_POST
from repdrift.core.site_words import site_title
from repdrift.report.page.contents import Filter


def drift_is(result: Comparison, measure: str) -> str:
    """Returns what drift is by a measure: `1 - debiased CKA`, or the name of a distance."""
    return drift_in_words(measure, result.measure_titles, result.distances)


def comparison_filters(result: Comparison, table: pd.DataFrame) -> list[Filter]:
    """Returns the filters, with the choices that `table` (see `drift_table`) has rows for; none where it has no row."""
    if table.empty:
        return []
    measures, sites = list(dict.fromkeys(table["measure"])), list(dict.fromkeys(table["site"]))
    depth = {at.layer for at in result.base_layers}
    return [
        Filter("arm", "Model", [(name, name) for name in dict.fromkeys(table["arm"])], []),
        Filter(
            "measure",
            "Measure",
            [(name, drift_is(result, name)) for name in measures],
            [PRIMARY_MEASURE],
            several=False,
        ),
        Filter("site", "Site", [(site, site_title(site)) for site in sites], [RESID_POST], several=False),
        Filter(
            "layer",
            "Layer",
            [(layer, _layer(layer, depth)) for layer in sorted({int(layer) for layer in table["layer"]})],
            [],
            several=False,
            whole="All layers",
        ),
    ]


def _layer(layer: int, blocks: set[int]) -> str:
    """A layer in words. The embeddings stand before all blocks, the output of the final norm after them."""
    if layer in blocks:
        return str(layer)
    return site_title("embeddings" if layer == EMBEDDINGS_LAYER else "final_norm")
