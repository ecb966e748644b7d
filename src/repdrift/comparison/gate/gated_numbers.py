"""Numbers that a gate holds against its limits, with their spread over samples, or the reason why they have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repdrift.comparison.gate.bounds import Spread, mean_spread, spread_about, spread_of
from repdrift.comparison.gate.limits import GATED_OUTCOMES, Gate, GateOutcome
from repdrift.core.comparison_words import why_no_interval
from repdrift.core.group_words import LEAST_GROUPS
from repdrift.core.records.comparison import ComparedModel, Comparison, LayerDrift
from repdrift.core.records.outcomes import ON_GENERAL_TEXT
from repdrift.core.records.output_changes import OutputChange
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.records.sites import RESID_POST
from repdrift.core.site_words import is_in_block, place_title, site_title
from repdrift.core.words import layers_named, listed
from repdrift.drift.chosen_measures import drift_is
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.similarity import measure

LEAST_SAMPLES = LEAST_GROUPS
"""Fewest samples, or groups of them, of which a gate judges a drift."""
_OLDER = "the comparison is of an older version, which does not tell its degrees of freedom; run it again"


@dataclass(frozen=True)
class Gated:
    """A gated number before it is judged. missing: why there is no number, or no interval though it may exceed its limit."""

    model: str
    what: str
    limit: float
    unit: str = ""
    value: float | None = None
    spread: Spread | None = None
    missing: str = ""
    hardly_moved: bool = False
    """Whether it has no interval because next to nothing moved; then a value within the limit passes."""
    is_noise: str = ""
    """The sentence that it is not above noise; "" if it is, or that is not known."""
    is_share: bool = False


def gated_numbers(result: Comparison, model: ComparedModel, gate: Gate) -> Iterator[Gated]:
    """Every number of one model that a gate holds against a limit."""
    if gate.fail_above is not None:
        yield from _drifts(result, model, gate, gate.fail_above)
    for name, limit in gate.outcomes:
        yield _outcome(model, GATED_OUTCOMES[name], limit)


def _drifts(result: Comparison, model: ComparedModel, gate: Gate, limit: float) -> Iterator[Gated]:
    for site in gate.sites:
        yield from _at_site(result, model, gate, limit, site)


def _at_site(result: Comparison, model: ComparedModel, gate: Gate, limit: float, site: str) -> Iterator[Gated]:
    """The drifts of one site. The limit of layers holds for sites inside the blocks; others have one place, which is gated itself."""
    by_layer = {at.layer: at for at in _layers_at(model, site)}
    inside = is_in_block(site)
    layers = list(by_layer) if gate.layers is None or not inside else list(gate.layers)
    drift = "drift" if gate.measure == PRIMARY_MEASURE else f"drift by {drift_is(gate.measure)}"
    where = "" if site == RESID_POST else f" of the {site_title(site)}"
    mean = f"mean {drift}{where} over {layers_named(layers) if layers else 'layers'}"
    by_place, with_mean = gate.by_layer or not inside, gate.mean and inside
    if why := _why_absent(result, model, site):
        for layer in layers if by_place else ():
            yield Gated(model.name, _place(drift, site, layer), limit, missing=why)
        if by_place and not layers:
            yield Gated(model.name, f"{drift}{where} in every layer" if inside else f"{drift} in the {site_title(site)}", limit, missing=why)  # fmt: skip
        if with_mean:
            yield Gated(model.name, mean, limit, missing=why)
        return
    found = [_in_layer(result, model, by_layer, layer, gate, limit, _place(drift, site, layer)) for layer in layers]
    if by_place:
        yield from found
    if with_mean:
        yield _mean(model.name, mean, limit, found)


def _layers_at(model: ComparedModel, site: str) -> Sequence[LayerDrift]:
    if site == RESID_POST:
        return model.layers
    return next((at.layers for at in model.sites if at.site == site), ())


def _why_absent(result: Comparison, model: ComparedModel, site: str) -> str:
    """A sentence on why a model has no drift at a site; "" if it has one."""
    if model.status != "compared":
        return f"The model has no drift by layer ({model.status}): {model.reason or 'no reason is recorded'}"
    if _layers_at(model, site):
        return ""
    said = model.sites_left_out.get(site) or result.sites_left_out.get(site)
    return f"It was not measured at this site: {said}." if said else f"It was not measured at this site; give --site {site}."  # fmt: skip


def _place(drift: str, site: str, layer: int) -> str:
    """A gated drift in words: `drift in layer 3`, `drift in the MLP output of layer 3`, `drift in the embeddings`."""
    return f"{drift} in layer {layer}" if site == RESID_POST else f"{drift} in the {place_title(site, layer)}"


def _in_layer(
    result: Comparison,
    model: ComparedModel,
    by_layer: dict[int, LayerDrift],
    layer: int,
    gate: Gate,
    limit: float,
    what: str,
) -> Gated:
    name = gate.measure
    if layer not in by_layer:
        return Gated(
            model.name, what, limit, missing=f"This layer is not among those that were compared: {layers_named(list(by_layer))}."
        )  # fmt: skip
    at = by_layer[layer]
    value = at.values.get(name)
    if value is None:
        why = (
            _no_value(result, model.name, name)
            if name in at.values
            else f"{name} was not measured; give --measure {name}."
        )
        return Gated(model.name, what, limit, missing=why)
    spread = _spread(at, name)
    alone = result.sample_groups is None and result.pooling != "tokens" and result.accumulated == "rows"
    why = "" if spread is not None else _no_interval(result, at, name, alone=alone)
    units = at.rows if result.sample_groups is None else result.sample_groups
    if units < LEAST_SAMPLES:
        spread, alone = None, False
        why = f"there are {units} samples or groups of samples, and a gate needs {LEAST_SAMPLES} at least"
    noise = ""
    if name == PRIMARY_MEASURE and at.above_noise is False:
        noise = "it is not above the noise of extraction or of rounding, so that noise alone may make it."
    return Gated(
        model.name, what, limit, "", measure(name).drift(value), spread, why,
        hardly_moved=alone and name == PRIMARY_MEASURE, is_noise=noise,
    )  # fmt: skip


def _spread(at: LayerDrift, name: str) -> Spread | None:
    if name == PRIMARY_MEASURE:
        if at.drift_low is None or at.drift_high is None or at.freedom is None:
            return None
        return spread_of(at.drift_low, at.drift_high, at.freedom)
    found = at.intervals.get(name)
    return None if found is None else spread_of(found.low, found.high, found.freedom)


def _no_interval(result: Comparison, at: LayerDrift, name: str, *, alone: bool) -> str:
    if name == PRIMARY_MEASURE:
        if at.drift_low is not None:
            return _OLDER
        if alone and at.drift <= ZERO_DRIFT:
            return "all samples are where they were"
        if alone:
            return "without one of the samples nothing moved at all"
    elif name not in at.intervals and at.drift_low is not None:
        return f"none was made for {name}, or it is undefined without some of the samples; give --interval-for {name}"
    next_step = ""
    if result.pooling == "tokens":
        next_step = "; pool them, such as by --pooling mean"
    elif result.accumulated == "moments":
        next_step = "; keep the rows with --accumulate rows, or take fewer with --samples"
    return f"{why_no_interval(result)}{next_step}"


def _no_value(result: Comparison, model: str, name: str) -> str:
    """The sentence of the comparison on a measure without a value."""
    said = [sentence for sentence in result.warnings if sentence.startswith("No value of") and name in sentence]
    return said[0] if said else f"{name} has no value there for {model}."


def _mean(model: str, what: str, limit: float, layers: Sequence[Gated]) -> Gated:
    """The mean over layers; a layer without a number or an interval leaves it without one."""
    absent = [one for one in layers if one.value is None]
    if absent or not layers:
        return Gated(model, what, limit, missing=absent[0].missing if absent else "No layer was compared.")
    values = [one.value for one in layers if one.value is not None]
    value = sum(values) / len(values)
    without = [one for one in layers if one.spread is None]
    spreads = [one.spread for one in layers if one.spread is not None]
    noise = [one for one in layers if one.is_noise]
    said = "in every layer it is not above the noise of extraction or of rounding." if len(noise) == len(layers) else ""
    return Gated(
        model, what, limit, "", value, None if without else mean_spread(spreads),
        f"{listed([one.what for one in without][:3])}: {without[0].missing}" if without else "",
        hardly_moved=all(one.hardly_moved for one in without), is_noise=said,
    )  # fmt: skip


def _outcome(model: ComparedModel, asked: GateOutcome, limit: float) -> Gated:
    def missing(why: str) -> Gated:
        return Gated(model.name, asked.title, limit, asked.unit, missing=why)

    if model.outputs is None:
        why = "outputs were not measured (--no-outputs)" if model.status == "compared" else model.reason or model.status
        return missing(f"It is not there: {why}.".replace("..", "."))
    found = next((c for c in model.outputs.changes if (c.outcome, c.inputs) == (asked.outcome, asked.inputs)), None)
    if found is None:
        of_classes = asked.outcome == "disagreement"
        about = [said for said in model.outputs.left_out if said.startswith("Classes") == of_classes]
        why = " ".join(about or model.outputs.left_out) or "It does not apply to this model."
        if asked.inputs == ON_GENERAL_TEXT and any(c.outcome == asked.outcome for c in model.outputs.changes):
            why = "It is measured on general text, and none was given: --general-text packaged, or a file."
        return missing(why)
    return _outcome_found(model.name, asked, limit, found)


def _outcome_found(model: str, asked: GateOutcome, limit: float, found: OutputChange) -> Gated:
    value = found.value if found.difference is None else found.difference
    if asked.turned:
        value = 1 - value
    spread: Spread | None = None
    why, hardly = found.note.removeprefix("no interval: "), found.n_groups >= LEAST_GROUPS
    if found.low is not None and found.high is not None:
        low, high = (1 - found.high, 1 - found.low) if asked.turned else (found.low, found.high)
        if found.freedom is not None:
            spread = spread_about(value, low, high, found.freedom)
        else:
            why, hardly = _OLDER, False
    return Gated(
        model, asked.title, limit, asked.unit, value, spread, why, hardly_moved=hardly, is_share=asked.is_share
    )
