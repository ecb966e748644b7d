"""Sentences and tables on patching, which the command line, the summary and the figure share."""

from __future__ import annotations

import itertools

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.patching import PatchedLayer, PatchedShare, Patching
from repdrift.core.words import number, percent, short_number, some_listed, whole_percent

TABLE_HEADER = ("layer", "undone", "95 % interval", "KL left", "brought", "95 % interval", "KL left")
_HALF = 0.5


def patching_answer(found: Patching) -> str:
    """One or two sentences on one model, without its name: where half of its output change is undone, and brought; or why there is no answer."""
    if found.status != "patched":
        return f"not patched: {found.reason}"
    at, reference = telling_layer(found), reference_named(found)
    whole = f"the output change (KL {short_number(found.change or 0.0)} {found.unit})"
    back = f"the tuned state put into {reference} there brings {share_words(at.brought)} of it."
    if at.undone.share >= _HALF:
        first = f"putting {reference}'s state back after layer {at.layer} undoes {share_words(at.undone)} of {whole}; {back}"
    else:
        first = (
            f"putting {reference}'s state back undoes half of {whole} after no layer that was patched: most after layer {at.layer}, "
            f"{share_words(at.undone)}; {back}"
        )
    return first + _largest_step(found) + "".join(f" Mind: {note}" for note in found.notes)


def telling_layer(found: Patching) -> PatchedLayer:
    """The first layer at which half of the change or more is undone; where there is none, the one at which most is."""
    return next(
        (at for at in found.layers if at.undone.share >= _HALF), max(found.layers, key=lambda at: at.undone.share)
    )


def share_words(share: PatchedShare) -> str:
    """A share with its interval, in whole percent: `62 % [55, 70]`."""
    text = f"{_whole(share.share)} %"
    return text if share.low is None or share.high is None else f"{text} [{_whole(share.low)}, {_whole(share.high)}]"


def reference_named(found: Patching) -> str:
    """The reference in a sentence: `the base`, or the name of the model in its place."""
    return "the base" if found.reference == "base" else found.reference


def patching_rows(found: Patching) -> list[list[str]]:
    """The cells under `TABLE_HEADER`, a row for each layer."""
    return [[str(at.layer), *_cells(at.undone), *_cells(at.brought)] for at in found.layers]


def how_patched(result: Comparison) -> list[str]:
    """Sentences that say what the shares are, and on how many samples they rest. Empty if nothing was patched."""
    done = [found for found in result.patching if found.status == "patched"]
    if not done:
        return []
    first = done[0]
    on = f"all {first.samples}" if first.samples == result.samples else f"{first.samples} of the {result.samples}"
    return [
        f"Patched on {on} samples. Undone: 1 - KL(reference, patched) / KL(reference, tuned), with the reference's hidden state after the layer put "
        "into the tuned model; brought: the same with the two exchanged. 0 % is none of the output change, 100 % all of it. Below 0 a state takes the "
        "output further away; above the last layer only the final norm and the head are left.",
    ]


def patching_sentences(result: Comparison) -> list[str]:
    """The cautions on patched models, each with the names of those that it concerns."""
    holders: dict[str, list[str]] = {}
    for found in result.patching:
        for note in [*found.notes, *([f"Not patched: {found.reason}"] if found.status != "patched" else [])]:
            holders.setdefault(note, []).append(found.model)
    return [f"{some_listed(names)}: {note}" for note, names in holders.items()]


def _largest_step(found: Patching) -> str:
    """A sentence on where the undone share rises most; "" unless neighbouring layers from the first to the last were patched."""
    layers = found.layers
    if found.depth is None or [at.layer for at in layers] != list(range(found.depth)):
        return ""
    shares = [0.0, *(at.undone.share for at in layers), 1.0]
    rises = [after - before for before, after in itertools.pairwise(shares)]
    most = max(range(len(rises)), key=lambda step: rises[step])
    if most == found.depth:  # a note says so
        return ""
    where = f"at layer {most}" if most else "at layer 0 and the embeddings before it"
    return f" It rises most {where} (from {_whole(shares[most])} to {_whole(shares[most + 1])} %)."


def _cells(share: PatchedShare) -> list[str]:
    interval = "" if share.low is None or share.high is None else f"{_whole(share.low)} to {_whole(share.high)} %"
    return [percent(share.share), interval, number(share.distance)]


def _whole(share: float) -> str:
    return whole_percent(share).removesuffix(" %")
