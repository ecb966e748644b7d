"""Directions in which models moved, in words: what kind of change it mostly is, how large the common shift is, and which tokens it raises.

Drift is 1 - CKA, which sees no shift. So what is shared out here is called the change of the representations, never drift.
"""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.directions import (
    SHIFT_LEVEL,
    DirectionCountRecord,
    DriftShare,
    LayerDirections,
    ModelDirections,
)
from repdrift.core.shown_text import for_terminal
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import (
    chosen_percent,
    counted,
    layers_named,
    listed,
    number,
    p_equals,
    percent,
    percent_range,
    pvalue,
    sentence_case,
    short_number,
)

KIND_WORDS = {
    "shift": "a shift that all samples share",
    "rotation": "a rotation",
    "scaling": "a scaling",
    "linear": "another linear map",
    "rest": "no linear map of the base model's rows",
}
KIND_HEADS = {"shift": "shift", "rotation": "rotation", "scaling": "scaling", "linear": "other linear", "rest": "rest"}
_MOST = 0.5
_CLOSER = 0.5
_ALIKE = 0.75
_NAMED = 3
_TOKENS_SHOWN = 5

_CKA = (
    "Debiased CKA sees no shift, no rotation and no scaling of all features by one factor, only the other linear maps and the rest: so a large shift can stand beside a "
    "drift of 0 in CKA."
)
_SHIFT_CAPTION = (
    "Change: size of the differences over that of the base model's rows. Shift and noise: in spreads of the base model's samples (root mean square distance from their mean). "
    "The norm of a mean difference is too large by its noise, which is taken off; where noise alone gives as much, the shift is missing. p: signs of whole {units} are "
    "flipped, corrected over layers. Like the intervals, it is about these two models and new samples, not about another training run. "
    "Directions: the fewest that carry 90 % of the squared differences, of as many as there can be; the same without the shift; and the share of the first one."
)
_SHARES_CAPTION = (
    "Shares of the squared differences tuned - base, on samples that the maps were not fitted to ({folds} folds). Each map is added to those on its left; shares add up to 100 %, "
    "and one below 0 says that the map meets new samples worse than without it. Rotations and linear maps are held towards no change, as strongly as serves the other folds best. "
    "Alone: the share that a rotation about the origin, or a scaling from it, takes off by itself. Where samples share a large mean, both move that mean, so that a shift, a "
    "rotation and a scaling can account for the same change."
)


def directions_answer(found: ModelDirections) -> list[str]:
    """Sentences that answer first: what kind of change it is, how large the shift is, and what it points toward."""
    moved = [at for at in found.layers if at.whole is not None]
    if not moved:
        return [found.layers[0].missing[0] if found.layers and found.layers[0].missing else "No layer was measured."]
    return [*_kinds(moved, found), *_shift(moved, found), *_random_shift(moved), *_tokens(moved)]


def directions_section(found: ModelDirections, *, title: str = "In which directions it moved") -> WordedSection:
    """A model's directions in words and tables."""
    if not any(at.whole is not None for at in found.layers):
        return WordedSection(name="directions", title=title, answer=directions_answer(found))
    return WordedSection(
        name="directions",
        title=title,
        answer=directions_answer(found),
        tables=[_shift_table(found), _share_table(found), _beside_table(found), _token_table(found)],
        notes=directions_notes(found),
        left_out=_left_out(found),
    )


def directions_notes(found: ModelDirections) -> list[str]:
    """Sentences that change how a model's numbers are read."""
    notes = [_CKA]
    if found.n_groups is not None:
        notes.append(
            f"The {found.n} rows come from {counted(found.n_groups, found.unit)}, which are left out, held out and flipped whole."
        )
    if found.rotated_directions is not None and found.width is not None and found.rotated_directions < found.width:
        notes.append(
            f"Rotations are sought in the {found.rotated_directions} leading directions of both models' rows, of {found.width}; outside of them they change nothing."
        )
    if any(at.tokens is not None for at in found.layers):
        notes.append(_tokens_note(found))
    return notes


def _kinds(moved: Sequence[LayerDirections], found: ModelDirections) -> list[str]:
    by_kind: dict[str | None, list[LayerDirections]] = {}
    for at in moved:
        if at.shares:
            largest = max(at.shares, key=lambda share: share.share)
            by_kind.setdefault(largest.kind if largest.share > _MOST else None, []).append(at)
    if not by_kind:
        return []
    said: list[str] = []
    for kind in (*KIND_WORDS, None):
        layers = by_kind.get(kind)
        if not layers:
            continue
        where = layers_named([at.layer for at in layers])
        if kind is None:
            said.append(f"in {where} no one kind of map accounts for most of the change of the representations")
            continue
        shares = [share_of(at, kind) for at in layers]
        number_of_top = max(range(len(layers)), key=lambda index: shares[index].share)
        top, share = layers[number_of_top], shares[number_of_top]
        most = "" if len(layers) == 1 else f"most in layer {top.layer}: "
        said.append(
            f"in {where} most of the change of the representations is accounted for by {KIND_WORDS[kind]} ({most}{_share_words(share, found)})"
        )
    return [f"{sentence_case('; '.join(said))}.", *_also_alone(moved)]


def _also_alone(moved: Sequence[LayerDirections]) -> list[str]:
    said: list[str] = []
    for name, word in (
        ("scaling_alone", "a scaling from the origin"),
        ("rotation_alone", "a rotation about the origin"),
    ):
        layers = [at for at in moved if _explains_more(at, getattr(at, name))]
        if layers:
            top = max(layers, key=lambda at: getattr(at, name))
            said.append(
                f"In {layers_named([at.layer for at in layers])} {word} accounts by itself for more than the shift does "
                f"(up to {percent(getattr(top, name))}, where the shift has {percent(share_of(top, 'shift').share)}): the shift there may be the mean that it moves."
            )
    return said


def _explains_more(at: LayerDirections, alone: float | None) -> bool:
    """True where most of the change is a shift, and one map about the origin leaves less than half of what the shift leaves."""
    if alone is None or not at.shares or share_of(at, "shift").share <= _MOST:
        return False
    return 1 - alone < _CLOSER * (1 - share_of(at, "shift").share)


def _shift(moved: Sequence[LayerDirections], found: ModelDirections) -> list[str]:
    tested = [at for at in moved if at.adjusted_pvalue is not None]
    beyond = [at for at in tested if at.adjusted_pvalue is not None and at.adjusted_pvalue <= SHIFT_LEVEL]
    if not tested:
        return []
    if not beyond:
        least = min(at.adjusted_pvalue for at in tested if at.adjusted_pvalue is not None)
        return [
            f"No shift common to all samples is beyond chance in any layer (smallest {p_equals(least)}, corrected over layers)."
        ]
    is_every = len(beyond) == len(tested) > 1
    where = f"all {len(tested)} layers" if is_every else layers_named([at.layer for at in beyond])
    worst = max(at.adjusted_pvalue for at in beyond if at.adjusted_pvalue is not None)
    said = (
        f"A shift common to all samples is beyond chance in {where} (p {pvalue(worst)} at most, corrected over layers)"
    )
    sized = [at for at in beyond if at.relative_shift is not None]
    if sized:
        top = max(sized, key=lambda at: at.relative_shift or 0.0)
        interval = _interval(top.relative_shift_low, top.relative_shift_high, found)
        said += f"; it is largest in layer {top.layer}: {short_number(top.relative_shift or 0.0)} spreads of the base model's samples{interval}"
    return [f"{said}."]


def shifted_as_at_random(layers: Sequence[LayerDirections]) -> list[LayerDirections]:
    """The layers whose change is mostly a shift, and where a random change of the weights of the same size shifts the samples nearly as much."""
    found: list[LayerDirections] = []
    for at in layers:
        of = at.beside_random
        if of is None or of.random_shift_share is None or of.own_shift_share is None or not at.shares:
            continue
        if share_of(at, "shift").share > _MOST and of.random_shift_share > _ALIKE * of.own_shift_share:
            found.append(at)
    return found


def random_shift_words(where: str, alike: Sequence[LayerDirections]) -> str:
    """A caution on layers of `shifted_as_at_random`, one at least. where: names them, as in `layers 0 to 2`."""
    at = max(alike, key=_random_share)
    of = at.beside_random
    assert of is not None  # noqa: S101  such layers alone are taken
    example = f"in layer {at.layer} " if len(alike) > 1 else ""
    return (
        f"In {where} a random change of the weights of the same size shifts the samples about as much "
        f"({example}the shift is {percent(of.random_shift_share)} of what it changes in the representations, beside {percent(of.own_shift_share)} after training, "
        f"over the same {counted(of.rows, 'row')}): that most of the change is a shift there is no sign of training. The direction of the shift may be one."
    )


def _random_share(at: LayerDirections) -> float:
    return 0.0 if at.beside_random is None else at.beside_random.random_shift_share or 0.0


def _random_shift(moved: Sequence[LayerDirections]) -> list[str]:
    alike = shifted_as_at_random(moved)
    return [random_shift_words(layers_named([at.layer for at in alike]), alike)] if alike else []


def _tokens(moved: Sequence[LayerDirections]) -> list[str]:
    read = [at for at in moved if at.tokens is not None]
    if not read:
        return []
    named = [at for at in read if at.tokens is not None and any(t.beyond_chance for t in at.tokens.top)]
    if not named:
        return [
            f"The shift points toward no token more than random directions of its size{' or a random change of the weights' if any(map(_beside_change, read)) else ''} do, in any layer that was read."
        ]
    top = max(named, key=_excess)
    tokens = [quoted(t.token) for t in top.tokens.top if t.beyond_chance] if top.tokens is not None else []
    lowered = [quoted(t.token) for t in top.tokens.bottom if t.beyond_chance] if top.tokens is not None else []
    away = f", and away from {listed(lowered[:_NAMED])}" if lowered else ""
    return [
        f"In layer {top.layer} the shift points toward {'tokens such as ' if len(tokens) > 1 else ''}{listed(tokens[:_NAMED])}{away}: more than any random direction of its size{_beside_change(top)} "
        f"(so do the shifts of {counted(len(named), 'layer')} of {len(read)})."
    ]


def _beside_change(at: LayerDirections) -> str:
    return ", and than a random change of the weights" if at.beside_random and at.beside_random.random_tokens else ""


def _excess(at: LayerDirections) -> float:
    found = at.tokens
    return 0.0 if found is None or not found.chance else max(t.score for t in found.top) / found.chance


def quoted(token: str) -> str:
    """A token in quotation marks, so that a leading blank is seen; what a terminal would obey is written as its code."""
    return f'"{for_terminal(token)}"'.replace("\n", "\\n").replace("\t", "\\t")


def share_of(at: LayerDirections, kind: str) -> DriftShare:
    """The share of one kind of a layer that has shares."""
    return next(share for share in at.shares if share.kind == kind)


def _share_words(share: DriftShare, found: ModelDirections) -> str:
    if share.low is None or share.high is None:
        return percent(share.share)
    return f"{percent(share.share)}, {chosen_percent(found.confidence)} interval {percent_range(share.low, share.high)}"


def _interval(low: float | None, high: float | None, found: ModelDirections) -> str:
    if low is None or high is None:
        return ""
    return f" ({chosen_percent(found.confidence)} interval {short_number(low)} to {short_number(high)})"


def _shift_table(found: ModelDirections) -> CaptionedTable:
    rows = [
        [
            str(at.layer),
            number(at.relative_change),
            number(at.relative_shift, missing=""),
            ""
            if at.relative_shift_low is None or at.relative_shift_high is None
            else f"{number(at.relative_shift_low)} to {number(at.relative_shift_high)}",
            number(None if not at.spread or at.shift_noise is None else at.shift_noise / at.spread, missing=""),
            pvalue(at.adjusted_pvalue, missing=""),
            count_words(at.whole),
            count_words(at.centred),
            percent(None if at.whole is None else at.whole.top_share, missing=""),
        ]
        for at in found.layers
    ]
    return CaptionedTable(
        title="The shift that all samples share, and the number of directions",
        caption=_SHIFT_CAPTION.format(units="rows" if found.n_groups is None else f"{found.unit}s"),
        header=["layer", "change", "shift", "interval", "noise", "p", "directions", "without shift", "top direction"],
        rows=rows,
    )


def _beside_table(found: ModelDirections) -> CaptionedTable:
    beside = [(at.layer, at.beside_random) for at in found.layers if at.beside_random is not None]
    rows = [
        [
            str(layer),
            percent(of.own_shift_share, missing=""),
            percent(of.random_shift_share, missing=""),
            number(of.own_relative_shift, missing=""),
            number(of.random_relative_shift, missing=""),
            count_words(of.own_whole),
            count_words(of.random_whole),
            count_words(of.own_centred),
            count_words(of.random_centred),
        ]
        for layer, of in beside
    ]
    over = counted(beside[0][1].rows, "row") if beside else ""
    return CaptionedTable(
        title="Beside a random change of the weights of the same size",
        caption=f"Both over the same {over}; they depend on that number, so that they differ from those above. Shift: its share of the change of the representations, then its size in spreads of the "
        "samples; then the directions that carry 90 % of the differences, with and without the shift.",
        header=["layer", "shift", "random", "size", "random", "directions", "random", "without shift", "random"],
        rows=rows,
    )


def _share_table(found: ModelDirections) -> CaptionedTable:
    rows = [
        [
            str(at.layer),
            *(percent(share_of(at, kind).share) for kind in KIND_WORDS),
            percent(at.rotation_alone),
            percent(at.scaling_alone),
        ]
        for at in found.layers
        if at.shares
    ]
    return CaptionedTable(
        title="The kind of map that accounts for the change",
        caption=_SHARES_CAPTION.format(folds=found.folds or 0),
        header=["layer", *KIND_HEADS.values(), "rotation alone", "scaling alone"],
        rows=rows,
    )


def _token_table(found: ModelDirections) -> CaptionedTable:
    rows = [
        [
            f"{at.layer}{of}",
            *(
                ", ".join(
                    f"{quoted(t.token)} {t.score:+.1f}{'' if t.beyond_chance or of else ' (chance)'}"
                    for t in tokens[:_TOKENS_SHOWN]
                )
                for tokens in (reading.top, reading.bottom)
            ),
            f"{reading.chance:.2f}",
            "" if reading.agreement is None else f"{reading.agreement:.2f}",
        ]
        for at in found.layers
        for of, reading in (("", at.tokens), (", random change", at.beside_random and at.beside_random.random_tokens))
        if reading is not None
    ]
    return CaptionedTable(
        title="Tokens that the unembedding reads from the shift",
        caption="Score: the logit by which the shift raises or lowers a token against the mean of all tokens, over what random directions of its size give this token (root mean square). "
        "Chance: the largest score that any of them reaches for any token. Where a random change of the weights stands below, a token is beyond chance only if no token of that has such a score "
        "either. direction_tokens.parquet has the logits.",
        header=["layer", "raised", "lowered", "chance", "agreement"],
        rows=rows,
    )


def _tokens_note(found: ModelDirections) -> str:
    draws = next(at.tokens.draws for at in found.layers if at.tokens is not None)
    return (
        "Tokens are read by the base model's own final norm and unembedding, as the derivative of its logits along the shift at the base model's mean row of that layer. "
        "Agreement is its cosine with the exact difference of logits: where it is low, the shift is too large for the derivative to say what it does. "
        f"Chance: {draws} random directions of the same norm, half of them drawn evenly and half as the base model's samples scatter. Rows are of the task's samples, not of general text."
    )


def _left_out(found: ModelDirections) -> list[str]:
    layers: dict[str, list[int]] = {}
    for at in found.layers:
        for reason in at.missing:
            layers.setdefault(reason, []).append(at.layer)
    said = [
        reason if len(at) == len(found.layers) else f"{layers_named(at).capitalize()}: {reason}"
        for reason, at in layers.items()
    ]
    if found.tokens_missing is not None:
        said.append(f"No tokens are read from the shifts: {found.tokens_missing.rstrip('.')}.")
    return said


def count_words(found: DirectionCountRecord | None) -> str:
    """A count of directions beside the most that there can be: `3 of 384`; nothing where there are none."""
    return "" if found is None else f"{found.carrying} of {found.most}"
