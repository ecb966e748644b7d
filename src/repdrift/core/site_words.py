"""Words for drift by site: whether attention or MLP moved more, which site drifts most, and where a change enters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repdrift.core.records.claims import Interval
from repdrift.core.records.site_drift import AdapterSize, AttentionOrMlp
from repdrift.core.records.sites import RESID_POST, SITE_WORDS, SITES
from repdrift.core.words import chosen_percent, counted, layers_named, listed, number, p_equals, percent, short_number

_NOUNS = {"resid_post": "residual stream", "final_norm": "output of the final norm"}
_WITHIN_BLOCK = ("attn_out", "mlp_out", RESID_POST)
"""In the order in which a block computes them; parallel blocks compute the first two from one input."""
MASSIVE_SHARE = 0.5
"""The share of the variance in one feature above which CKA speaks mostly of that feature."""
_ROUNDING = 1e-12
"""Up to which a drift is what rounding in float64 leaves of equal rows."""
SCALE_NOTE = (
    "Drift by site is 1 - CKA, which does not depend on the size of a site's numbers. The relative change does: it is ||tuned - base|| / ||base|| of the site's rows. "
    "The attention output and the MLP output are what each adds to the residual stream. A site drifts too where only its input does: a change enters at the first place "
    "that drifts, and what follows passes it on."
)


def site_title(site: str) -> str:
    """Returns the display name of a site for a sentence, `attention output`; a site without one keeps its name."""
    return _NOUNS.get(site) or next((words for name, words in SITE_WORDS.items() if name == site), site)


def place_title(site: str, layer: int) -> str:
    """Returns a site at a layer for a sentence: `MLP output of layer 3`, `embeddings`."""
    return f"{site_title(site)} of layer {layer}" if is_in_block(site) else site_title(site)


def is_in_block(site: str) -> bool:
    """Tells whether a site belongs to a block; the others stand before or after all blocks."""
    return site in (*_WITHIN_BLOCK, "adapter_out")


def drift_number(value: float | None, *, missing: str = "missing") -> str:
    """A drift for a table; one that is rounding of equal rows is 0."""
    return number(0.0 if value is not None and abs(value) <= _ROUNDING else value, missing=missing)


@dataclass(frozen=True)
class PlaceDrift:
    """The drift of one model, or mean of several, at one site and layer.

    floor: up to which it is noise; None: not known. change: the relative change there, which sees a scaling or rotation that CKA does not;
    change_floor: up to which that is noise. None: not known, and then not looked at.
    """

    site: str
    layer: int
    drift: float
    floor: float | None = None
    change: float | None = None
    change_floor: float | None = None

    @property
    def has_drifted(self) -> bool:
        """True if the drift is above noise, and above what rounding in float64 leaves of equal rows."""
        return self.drift > max(_ROUNDING, self.floor or 0.0)

    @property
    def has_moved(self) -> bool:
        """True if it has drifted, or its rows have changed by more than noise though CKA does not see it."""
        changed = self.change is not None and self.change_floor is not None and self.change > self.change_floor
        return self.has_drifted or changed


def entry_sentence(places: Sequence[PlaceDrift]) -> str | None:
    """Says at which of the places that were read the change enters, in the order in which a model computes them.

    Returns None if nothing but the embeddings was read before the first that moves, so that the change may enter before it.
    """
    ordered = sorted(places, key=_order)
    moved = [place for place in ordered if place.has_moved]
    if not ordered:
        return None
    if not moved:
        return f"No drift above noise at any of the {counted(len(ordered), 'place')} that were read."
    first = moved[0]
    before = ordered.index(first)
    if before == 0 or ordered[before - 1].layer < 0:
        return None
    earlier = (
        "the place that was read before it has" if before == 1 else f"the {before} places that were read before it have"
    )
    last, name = ordered[before - 1], place_title(first.site, first.layer)
    if first.has_drifted:
        said = f"The first place that drifts is the {name} (drift {short_number(first.drift)})"
    else:
        said = f"The first place that moves is the {name}, by a change that CKA does not see (drift {short_number(first.drift)}, relative change {percent(first.change)})"
    return (
        f"{said}: in the order of computation, {earlier} no drift above noise. So the change enters behind the {place_title(last.site, last.layer)}, and not later than "
        "there."
    )


def _order(place: PlaceDrift) -> tuple[int, int]:
    return place.layer, _WITHIN_BLOCK.index(place.site) if place.site in _WITHIN_BLOCK else 0


def attention_or_mlp_sentence(found: AttentionOrMlp, who: str, *, alpha: float, confidence: float) -> str:
    """Says whether attention or MLP drifts more, with p, interval and both drifts. who: such as `under LoRA on SST-2`."""
    head = f"Attention or MLP, {who}:"
    if found.attention_drift is None or found.mlp_drift is None or found.difference is None:
        return f"{head} not known, since {found.missing or 'one of the two was not measured'}."
    attention, mlp = (
        f"{site_title('attn_out')} {drift_number(found.attention_drift)}",
        f"{site_title('mlp_out')} {drift_number(found.mlp_drift)}",
    )
    drifts = f"{attention}, {mlp}, mean over {counted(len(found.layers), 'layer')}"
    sizes = ""
    if found.attention_change is not None and found.mlp_change is not None:
        sizes = f" Relative to its own size the first changed by {percent(found.attention_change)}, the second by {percent(found.mlp_change)}."
    if found.difference == 0:
        return f"{head} neither more than the other ({drifts}).{sizes}"
    more = site_title("attn_out" if found.difference > 0 else "mlp_out")
    said = f"the {more} drifts more{' in this one model' if found.over == 'samples' else ''} ({_how_sure(found)})"
    if found.pvalue is not None and found.pvalue > alpha:
        said = f"undecided ({_how_sure(found)})"
        if _is_smallest(found):
            said = f"the {more} drifts more in {_these(found)}, too few to tell it of others ({_how_sure(found)})"
    elif found.pvalue is None:
        said = f"the {more} has the larger drift in {_these(found)}, which is not tested{f', since {found.not_tested}' if found.not_tested else ''}"
    return f"{head} {said}: {drifts}{_difference(found.intervals, found.difference, confidence)}.{sizes}"


def massive_sentence(massive: Mapping[str, Sequence[int]]) -> list[str]:
    """Says at which sites one feature holds over half of the base model's variance. massive: the layers by site; empty where there is none."""
    where = [
        f"the {site_title(site)}" + (f" in {layers_named(layers)}" if is_in_block(site) else "")
        for site, layers in massive.items()
        if layers
    ]
    if not where:
        return []
    return [
        f"One feature holds over half of the base model's variance at {listed(where)} (massive activations): plain drift there speaks mostly of that feature."
    ]


def most_sentence(drifts: Mapping[str, float], who: str) -> str | None:
    """Says which site drifts most, and the others in their order. drifts: mean drift by site. Returns None for fewer than two sites."""
    inside = {site: drift for site, drift in drifts.items() if site != RESID_POST}
    if len(inside) < 2:
        return None
    ordered = sorted(inside.items(), key=lambda item: -item[1])
    if ordered[0][1] <= _ROUNDING:
        return f"By site, {who}: none drifts."
    rest = ", ".join(f"{site_title(site)} {drift_number(drift)}" for site, drift in ordered[1:])
    stream = f"; residual stream {drift_number(drifts[RESID_POST])}" if RESID_POST in drifts else ""
    return (
        f"By site, {who}: the {site_title(ordered[0][0])} drifts most ({number(ordered[0][1])}), then {rest}{stream}."
    )


def adapter_sentence(sizes: Sequence[AdapterSize], who: str) -> str | None:
    """Says how large the adapter's own branch is relative to the residual stream; None without one."""
    if not sizes:
        return None
    by_layer: dict[int, list[float]] = {}
    for size in sizes:
        by_layer.setdefault(size.layer, []).append(size.relative_size)
    means = {layer: sum(values) / len(values) for layer, values in by_layer.items()}
    largest = max(means, key=lambda layer: means[layer])
    return (
        f"The adapter's own branch, {who}, is {percent(min(means.values()))} to {percent(means[largest])} as large as the residual stream after its block "
        f"({layers_named(list(means))}; largest in layer {largest}). It has no drift, since the base model has no such branch."
    )


def in_site_order(sites: Sequence[str]) -> list[str]:
    """Returns the sites in their usual order."""
    return [site for site in SITES if site in sites]


def _these(found: AttentionOrMlp) -> str:
    return "this model" if found.n_models == 1 else f"these {found.n_models} models"


def _is_smallest(found: AttentionOrMlp) -> bool:
    """Tells whether the p is the smallest that this number of models can give: all of them say the same."""
    if found.pvalue is None or found.smallest_pvalue is None:
        return False
    return found.pvalue <= found.smallest_pvalue * (1 + 1e-9)


def _how_sure(found: AttentionOrMlp) -> str:
    if found.pvalue is None:
        return "not tested"
    if found.over == "samples":
        return f"{p_equals(found.pvalue)} over samples, which tells nothing of other seeds"
    models = counted(found.n_models, "model")
    if _is_smallest(found):
        return f"{p_equals(found.pvalue)}, the smallest that {models} can give"
    return f"{p_equals(found.pvalue)} over {models}"


def _difference(intervals: Sequence[Interval], difference: float, confidence: float) -> str:
    """Returns the difference as a positive number, larger minus smaller, with each interval; "" without one."""
    if not intervals:
        return ""
    sign = 1 if difference > 0 else -1
    ends = [
        f"{number(min(sign * i.low, sign * i.high))} to {number(max(sign * i.low, sign * i.high))} over {i.over}"
        for i in intervals
    ]
    return f"; difference {number(abs(difference))} ({chosen_percent(confidence)} interval {', '.join(ends)})"
