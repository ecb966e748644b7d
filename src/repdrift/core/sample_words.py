"""The samples that moved, in words: who stands out, which groups moved more than the rest, and the lists."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ShadedTokens
from repdrift.core.records.sample_moves import AtPlace, GroupMoves, MovedSample, PlaceMoves, SampleMoves
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.worded_section import CaptionedTable, TokenStrip, WordedSection
from repdrift.core.words import counted, layer_ranges, number, p_equals, pvalue, short_number, some_listed, times

TITLE = "Which samples moved"
_LEVEL = 0.05
_GROUPS_SAID = 4
_TOKENS_SAID = 6

SHARE = (
    "A sample's share is the part of the drift that its relations to all other samples make up; the shares of all samples add up to the drift. Its own drift, 0 "
    "to 2, is its share beside its weight: a sample far from the mean has much weight. A rotation or a scaling of all samples moves none of them."
)


def strips_section(strips: Sequence[ShadedTokens]) -> WordedSection | None:
    """The section on a model of which the outputs alone are known; None if they are not."""
    if not strips:
        return None
    return WordedSection("samples", TITLE, tables=[tokens_table(strips)], strips=shaded_strips(strips))


def samples_section(moves: SampleMoves, unit: str = "group", strips: Sequence[ShadedTokens] = ()) -> WordedSection:
    """The section on one model. unit: a group of samples that belong together, in one word. strips: texts whose predictions changed most."""
    return WordedSection(
        name="samples",
        title=TITLE,
        answer=[*_spread(moves), _standing(moves.places, moves.samples), *group_sentences(moves.groups, moves.places)],
        tables=[
            sample_table("Samples that moved most", moves.most, unit),
            sample_table("Samples that moved least", moves.least, unit),
            groups_table(moves.groups),
            _places_table(moves.places),
            tokens_table(strips),
        ],
        notes=[SHARE, *moves.notes],
        strips=shaded_strips(strips),
    )


def _spread(moves: SampleMoves) -> list[str]:
    at = max(moves.places, key=lambda place: place.drift)
    if at.drift <= 0:
        return ["No sample moved: the drift is 0 everywhere."]
    return [
        f"At {place_words(at)}, where drift is largest ({short_number(at.drift)}), {at.half} of {moves.samples} samples hold half of it; if all had the same share, "
        f"{-(-moves.samples // 2)} would."
    ]


def _standing(places: Sequence[PlaceMoves], samples: int) -> str:
    where: dict[str, list[PlaceMoves]] = {}
    for at in sorted(places, key=lambda place: -len(place.named)):
        for name in at.named:
            where.setdefault(name, []).append(at)
    if not where:
        few = " (with fewer than 20 samples none is named)" if samples < 20 else ""
        return f"No sample stands out from the others, and from samples that move by chance{few}."
    said = [f"{name!r}" for name in where]
    places_named = place_list([at for at in places if at.named])
    verb = "stands" if len(where) == 1 else "stand"
    return f"{counted(len(where), 'sample')} {verb} out from all others, and from samples that move by chance: {some_listed(said, most=20)} (at {places_named})."


def group_sentences(groups: Sequence[GroupMoves], places: Sequence[PlaceMoves] = ()) -> list[str]:
    """Sentences on groups whose share differs from that of the rest, after the correction for all that were looked at."""
    tested = [group for group in groups if group.p_adjusted is not None]
    found = sorted((g for g in tested if (g.p_adjusted or 0) < _LEVEL), key=lambda g: g.p or 0)
    found = [g for g in found if (g.ratio or 0) > 1] or found
    if found:
        return [_group_sentence(group) for group in found[:_GROUPS_SAID]]
    at_places = [(at, g) for at in places for g in at.groups if g.p_adjusted is not None and g.p_adjusted < _LEVEL]
    at_places = [(at, g) for at, g in at_places if (g.ratio or 0) > 1] or at_places
    if at_places:
        at, group = min(at_places, key=lambda pair: pair[1].p or 0)
        return [f"Over all layers no group differs from the rest; {_group_sentence(group, f'at {place_words(at)} ')}"]
    if tested:
        return [f"No group of samples has a larger share than the rest ({counted(len(tested), 'group')} looked at)."]
    return []


def _group_sentence(group: GroupMoves, where: str = "") -> str:
    interval = (
        "" if group.low is None or group.high is None else f"95 % interval {times(group.low)} to {times(group.high)}, "
    )
    random = (
        ""
        if group.random_ratio is None
        else f" After a random change of the weights as large it is {times(group.random_ratio)}."
    )
    text = (
        f"{where}samples with {group_words(group)} ({group.n}) have {times(group.ratio or 0)} times the share of the others ({interval}"
        f"{p_equals(group.p_adjusted or 0)}, corrected for all groups and layers).{random}"
    )
    return text if where else text[:1].upper() + text[1:]


def group_words(group: GroupMoves) -> str:
    """A group in words: `label 'positive'`, `length short (3 to 7 tokens)`, `topic 'sport'`."""
    if group.by == "length":
        return f"length {group.value}"
    if group.by == "answer":
        return f"a {group.value} answer ({group.column})"
    return f"{'label' if group.by == 'label' else group.column} {group.value!r}"


def place_words(at: PlaceMoves | AtPlace) -> str:
    """A place in words: `layer 3`, `attn_out of layer 3`."""
    return SiteLayer(at.site, at.layer).words


def place_list(places: Sequence[PlaceMoves | AtPlace]) -> str:
    """Places in a few words: `layers 3 to 5`, and other sites behind them; "" for none."""
    layers = [at.layer for at in places if at.site == RESID_POST]
    others = [place_words(at) for at in places if at.site != RESID_POST]
    stream = [f"{'layer' if len(layers) == 1 else 'layers'} {layer_ranges(layers)}"] if layers else []
    return some_listed([*stream, *others]) if stream or others else ""


def sample_table(title: str, samples: Sequence[MovedSample], unit: str) -> CaptionedTable:
    """Samples with what is known of them; columns of which nothing is known are left out."""
    columns = {
        "sample": [s.sample for s in samples],
        unit: [s.group or "" for s in samples],
        "label": [s.label or "" for s in samples],
        "tokens": ["" if s.length is None else str(s.length) for s in samples],
        "times expected": [times(s.times_expected) if s.times_expected else "" for s in samples],
        "times the mean share": [times(s.times) if s.times > 0 else "0" for s in samples],
        "own drift": [number(s.own_drift, missing="") for s in samples],
        "1 - cosine": [number(s.cosine_change, missing="") for s in samples],
        "stands out at": [place_list(s.stands_out) for s in samples],
        "text": [s.text or "" for s in samples],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells) or name == "sample"}
    return CaptionedTable(
        title,
        "Share of the drift over all layers, by that of samples of the same weight (times expected), and by the mean share. 1 - cosine is of the two rows of a sample about the means, which a rotation of all samples changes too.",
        list(kept),
        list(zip(*kept.values(), strict=True)),
    )


def groups_table(groups: Sequence[GroupMoves]) -> CaptionedTable:
    """Groups beside the rest, over all layers."""
    random = any(group.random_ratio is not None for group in groups)
    header = [
        "samples with",
        "samples",
        "share, times that of the others",
        "95 % interval",
        "p",
        "p, corrected",
        *(["random change"] * random),
        "note",
    ]
    rows = [
        [
            group_words(group),
            str(group.n),
            "" if group.ratio is None else times(group.ratio),
            "" if group.low is None or group.high is None else f"{times(group.low)} to {times(group.high)}",
            pvalue(group.p, missing=""),
            pvalue(group.p_adjusted, missing=""),
            *(["" if group.random_ratio is None else times(group.random_ratio)] * random),
            group.note,
        ]
        for group in groups
    ]
    return CaptionedTable(
        "Groups of samples",
        "Mean share of the group by that of all other samples, over the layers whose drift is above noise. Intervals are over samples, conditional on the models.",
        header,
        rows,
    )


def tokens_table(strips: Sequence[ShadedTokens]) -> CaptionedTable:
    """Texts whose predictions changed most, with the tokens that did; a token is shown behind the two before it."""
    rows = [
        [
            "general text" if strip.inputs == ON_GENERAL_TEXT else "samples",
            strip.sample,
            short_number(strip.mean),
            "; ".join(_tokens(strip)),
        ]
        for strip in strips
    ]
    return CaptionedTable(
        "Texts whose predicted tokens changed most",
        "Mean KL(base || tuned) in nats per token, and the tokens for which it is largest, each in brackets behind the text before it.",
        ["of", "text", "mean KL", "tokens"],
        rows,
    )


def shaded_strips(strips: Sequence[ShadedTokens], of: str = "", highest: float | None = None) -> list[TokenStrip]:
    """Texts token by token, on one scale. of: stands before each title. highest: the end of the scale; None: the highest value of all."""
    top = max((value for strip in strips for value in strip.values if value is not None), default=0.0)
    return [
        TokenStrip(
            title=f"{of}{_kind_of(strip)} {strip.sample}: mean KL {short_number(strip.mean)} nats per token",
            tokens=list(zip(strip.tokens, strip.values, strict=True)),
            caption=_strip_caption(strip),
            highest=top if highest is None else highest,
        )
        for strip in strips
    ]


def _kind_of(strip: ShadedTokens) -> str:
    return "general text" if strip.inputs == ON_GENERAL_TEXT else "sample"


def _strip_caption(strip: ShadedTokens) -> str:
    cut = (
        f" {counted(strip.cut, 'more token')} at the end {'is' if strip.cut == 1 else 'are'} not shown."
        if strip.cut
        else ""
    )
    return f"KL(base || tuned) in nats is largest for: {'; '.join(_tokens(strip))}.{cut}"


def _tokens(strip: ShadedTokens) -> list[str]:
    known = sorted(((value, i) for i, value in enumerate(strip.values) if value), reverse=True)[:_TOKENS_SAID]
    return [
        f"{''.join(strip.tokens[max(0, i - 3) : i])}[{strip.tokens[i]}] {short_number(value)}" for value, i in known
    ]


def _places_table(places: Sequence[PlaceMoves]) -> CaptionedTable:
    return CaptionedTable(
        "Samples by layer",
        "How many samples hold half of the drift, and how many stand out.",
        ["at", "drift", "samples that hold half", "samples that stand out", "of these"],
        [
            [
                place_words(at),
                number(at.drift),
                str(at.half),
                str(len(at.named)),
                some_listed(at.named, most=8) if at.named else "",
            ]
            for at in places
        ],
    )
