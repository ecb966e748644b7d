"""Pooled rows by site and layer: read in the same pass as the residual stream, gathered from all processes, split by site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from repdrift.comparison.base_model import extractor_for
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.row_measures import Rows
from repdrift.core.errors import ModelError
from repdrift.core.process_group import world
from repdrift.core.records.sites import RESID_POST, SITES, SiteLayer
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.extractor import PooledBatch
from repdrift.extraction.row_index import RowIndex
from repdrift.tasks import SampleSet


@dataclass(frozen=True)
class PlacedRows:
    """The pooled rows of one model. stream: the residual stream by layer, (n, d). sites: other sites, by site and layer.

    left_out: sites that were asked for and that this model has not, each with the reason.
    """

    stream: Rows
    sites: Mapping[str, Rows] = field(default_factory=dict[str, Rows])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


def extractor_with_sites(model: nn.Module, options: ComparisonOptions) -> RepresentationExtractor:
    """Returns the extractor of a model; a site that cannot be told apart in it is not read, and the extractor says why.

    Its attribute `chosen_sites.left_out` has the reasons. Raises ModelError as `extractor_for` does without sites.
    """
    try:
        return extractor_for(model, options)
    except ModelError:
        if not options.sites:
            raise
    reasons: dict[str, str] = {}
    for site in options.sites:  # each by itself, so that the others are read
        try:
            extractor_for(model, options.model_copy(update={"sites": (site,)}))
        except ModelError as error:
            reasons[site] = str(error)
    known = tuple(site for site in options.sites if site not in reasons)
    found = extractor_for(model, options.model_copy(update={"sites": known}))
    found.chosen_sites = replace(found.chosen_sites, left_out={**found.chosen_sites.left_out, **reasons})
    return found


def placed_rows(extractor: RepresentationExtractor, samples: SampleSet, *, what: str) -> PlacedRows | None:
    """Representations by site and layer, (n, d), gathered from all processes; None in all processes but the first.

    Raises NonFiniteError naming place and sample, and DataError if a sample is longer than the model's maximum; under
    `torchrun` every process raises what one of them raises.
    """
    processes = world()
    if processes.size == 1:
        return _split(extractor.extract_sites(samples, what=what), extractor)
    mine: list[PooledBatch] = []
    with processes.together(what):
        plan = extractor.plan(samples)
        mine = list(extractor.batches(plan, numbers=processes.share(len(plan)), what=what))
    gathered = processes.gather(mine)
    if gathered is None:
        return None
    n_rows = RowIndex(samples, extractor.pooling).n_rows
    found: dict[SiteLayer, Tensor] = {}
    for batch in (batch for of_process in gathered for batch in of_process):
        values = {SiteLayer(RESID_POST, layer): rows for layer, rows in batch.layers.items()}
        values |= {SiteLayer(*place): rows for place, rows in batch.sites.items()}
        for place, rows in values.items():
            if place not in found:
                found[place] = torch.empty((n_rows, rows.shape[1]))
            found[place][batch.rows] = rows
    return _split(found, extractor)


def _split(found: Mapping[SiteLayer, Tensor], extractor: RepresentationExtractor) -> PlacedRows:
    by_site: dict[str, Rows] = {}
    for place, rows in found.items():
        by_site.setdefault(place.site, {})[place.layer] = rows
    stream = by_site.pop(RESID_POST)
    in_order = {site: by_site[site] for site in SITES if site in by_site}
    return PlacedRows(stream, in_order, extractor.chosen_sites.left_out)


def sites_asked_for(options: ComparisonOptions) -> Sequence[str]:
    """Returns the sites besides the residual stream that the options ask for, in their usual order."""
    return [site for site in SITES if site in options.sites and site != RESID_POST]
