"""Drift by site and layer from streamed sums of products, with its controls and the facts on the base model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from repdrift.comparison.measured import Measured, MeasureValue
from repdrift.comparison.moment_noise import cka_of
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.paired_pass import Accumulators, ModelRun
from repdrift.comparison.site_measures import compared_sites
from repdrift.comparison.site_rows import sites_asked_for
from repdrift.comparison.weight_changes import WeightChanges, with_weights
from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.comparison import BaseLayer, LayerDrift
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.site_words import site_title
from repdrift.drift.site_measurement import SITE_CHANGE
from repdrift.drift.site_sets import ADAPTER_SITE
from repdrift.similarity import measure
from repdrift.similarity.measure import EXACT
from repdrift.similarity.streaming import PairedAccumulator, PairedResult

BySite = dict[str, dict[str, list[LayerDrift]]]
"""By model and site, the residual stream among them."""
_NEEDS_ROWS = "this takes the rows themselves (--accumulate rows), and only sums were kept"


def drift_by_site(
    measured: Measured,
    options: ComparisonOptions,
    name: str,
    sums: Accumulators,
    k: int,
    run: ModelRun,
    changes: WeightChanges,
) -> dict[str, list[LayerDrift]]:
    """Returns the drift of the model number `k` of the sums by site, the residual stream first.

    Keeps in `measured` the reason for every site without a drift, and whether attention or MLP drifts more. Raises DegenerateInputError
    naming the layer if the drift of the residual stream is undefined.
    """
    places: dict[str, list[SiteLayer]] = {}
    for place in sums:
        places.setdefault(place.site, []).append(place)
    stream = [_layer(measured, options, name, place, sums[place], k) for place in places.pop(RESID_POST)]
    found = {RESID_POST: with_weights(stream, changes)}
    absent = run.extractor.chosen_sites.left_out
    left_out = {site: reason for site, reason in absent.items() if site not in measured.sites_left_out}
    for site, at_site in places.items():
        try:
            found[site] = [_layer(measured, options, name, place, sums[place], k) for place in at_site]
        except DegenerateInputError as error:
            left_out[site] = str(error)
    if any(place.site == ADAPTER_SITE for place in run.places):
        left_out[ADAPTER_SITE] = f"its size: {_NEEDS_ROWS}"
    for site in sites_asked_for(options):
        if site not in (*found, *left_out, *measured.sites_left_out):
            left_out[site] = "base model and tuned model do not have it at the same layers"
    measured.model_sites_left_out[name] = left_out
    compared = compared_sites(name, found, [], "only sums were kept, and not the rows (--accumulate rows)")
    if compared is not None:
        measured.attention_or_mlp[name] = compared
    return found


def control_drifts(
    measured: Measured,
    name: str,
    site: str,
    layers: Sequence[LayerDrift],
    sums: Accumulators,
    k: int,
    field: str,
) -> list[float] | None:
    """Returns the drift of the model number `k` of the sums at one site, by layer; None, with a note on the model `name`, if there is none.

    field: the field of LayerDrift that it is for. Raises DegenerateInputError naming the layer if that of the residual stream is undefined.
    """
    places = [SiteLayer(site, at.layer) for at in layers]
    reason = "the changed base model does not have it"
    try:
        if all(place in sums for place in places):
            return [1 - cka_of(sums[place], k, place) for place in places]
    except DegenerateInputError as error:
        if site == RESID_POST:
            raise
        reason = str(error)
    control = field.removesuffix("_drift").replace("_", " ")
    measured.note(name, [f"The control of {control} is missing at the {site_title(site)}: {reason}."])
    return None


def base_places(sums: Accumulators, noise: Mapping[SiteLayer, float]) -> Iterator[tuple[SiteLayer, BaseLayer]]:
    """Yields the facts about the base model at every site and layer of the sums."""
    for place, accumulator in sums.items():
        try:
            spread = accumulator.result(0).base
        except DegenerateInputError:
            if place.site == RESID_POST:
                raise
            continue  # the site is left out, with the reason
        at = BaseLayer(
            layer=place.layer,
            noise_floor=noise.get(place),
            top_feature_share=spread.top_share,
            participation_ratio=spread.participation_ratio,
            largest_activation=spread.largest_activation,
        )
        yield place, at


def _layer(
    measured: Measured, options: ComparisonOptions, model: str, place: SiteLayer, sums: PairedAccumulator, k: int
) -> LayerDrift:
    result = sums.result(k)
    values: dict[str, float | None] = {}
    inside = place.site != RESID_POST
    for name in dict.fromkeys((*options.measures, SITE_CHANGE)) if inside else options.measures:
        found = _value(result, name)
        values[name] = found.value
        if found.reason is not None and not (inside and found.reason == _NEEDS_ROWS):  # said of the stream
            called = f"{name} of the {site_title(place.site)}" if inside else name
            measured.undefined.setdefault((model, called), {})[place.layer] = found.reason
    return LayerDrift(layer=place.layer, rows=result.n, drift=1 - cka_of(sums, k, place), values=values)


def _value(result: PairedResult, name: str) -> MeasureValue:
    m = measure(name)
    if m.streaming != EXACT:
        return MeasureValue(None, _NEEDS_ROWS)
    try:
        return MeasureValue(m.from_moments(result))
    except DegenerateInputError as error:
        return MeasureValue(None, str(error))
