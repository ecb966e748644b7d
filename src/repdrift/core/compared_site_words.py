"""Words for drift by site in a comparison: the section on one model, in summary and terminal."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.sites import RESID_POST
from repdrift.core.site_words import (
    MASSIVE_SHARE,
    SCALE_NOTE,
    PlaceDrift,
    adapter_sentence,
    attention_or_mlp_sentence,
    drift_number,
    entry_sentence,
    massive_sentence,
    most_sentence,
    place_title,
    site_title,
)
from repdrift.core.study_site_words import SITES_SECTION
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import percent

_ALPHA, _CONFIDENCE = 0.05, 0.95
_HEADER = ("place", "drift", "95 % interval", "relative change", "random change", "noise", "above noise")
_CHANGE = "relative_change"
_LEAST_CHANGE = 1e-3
"""Relative changes up to this size may be rounding of other batches; rows of equal weights in equal batches do not change at all."""


def model_sites(result: Comparison, model: ComparedModel) -> WordedSection | None:
    """Returns the section on one model; None if no other site than the residual stream was asked for."""
    left_out = {**result.sites_left_out, **model.sites_left_out}
    if not (model.sites or model.adapter_sizes or left_out):
        return None
    by_site = {of.site: of.mean_drift for of in model.sites}
    if model.mean_drift is not None:
        by_site[RESID_POST] = model.mean_drift
    who = model.name
    answer = [
        entry_sentence(_places(result, model)),
        None
        if model.attention_or_mlp is None
        else attention_or_mlp_sentence(model.attention_or_mlp, who, alpha=_ALPHA, confidence=_CONFIDENCE),
        most_sentence(by_site, who),
        adapter_sentence(model.adapter_sizes, who),
    ]
    massive = {
        site: [at.layer for at in layers if at.top_feature_share > MASSIVE_SHARE]
        for site, layers in result.base_sites.items()
    }
    return WordedSection(
        SITES_SECTION,
        "Sites inside the block: attention or MLP?",
        answer=[sentence for sentence in answer if sentence is not None],
        tables=[_table(result, model)],
        notes=[*massive_sentence(massive), SCALE_NOTE],
        left_out=[f"No drift of the {site_title(site)}: {reason.rstrip('.')}." for site, reason in left_out.items()],
    )


def _places(result: Comparison, model: ComparedModel) -> list[PlaceDrift]:
    floors = {RESID_POST: result.base_layers, **result.base_sites}
    places: list[PlaceDrift] = []
    for site, layers in _sites(model):
        noise = {
            at.layer: at.noise_floor if at.noise_floor_high is None else at.noise_floor_high
            for at in floors.get(site, [])
        }
        places += [
            PlaceDrift(site, at.layer, at.drift, noise.get(at.layer), at.values.get(_CHANGE), _LEAST_CHANGE)
            for at in layers
        ]
    return places


def _sites(model: ComparedModel) -> list[tuple[str, Sequence[LayerDrift]]]:
    return [(RESID_POST, model.layers), *((of.site, of.layers) for of in model.sites)]


def _table(result: Comparison, model: ComparedModel) -> CaptionedTable:
    noise = {(site, at.layer): at.noise_floor for site, layers in result.base_sites.items() for at in layers}
    rows = [
        [
            place_title(of.site, at.layer),
            drift_number(at.drift),
            ""
            if at.drift_low is None or at.drift_high is None
            else f"{drift_number(at.drift_low)} to {drift_number(at.drift_high)}",
            percent(at.values.get(_CHANGE), missing=""),
            drift_number(at.random_change_drift, missing=""),
            drift_number(noise.get((of.site, at.layer)), missing=""),
            {True: "yes", False: "no", None: ""}[at.above_noise],
        ]
        for of in model.sites
        for at in of.layers
    ]
    return CaptionedTable("Drift by site and layer", "Those of the residual stream stand above.", _HEADER, rows)
