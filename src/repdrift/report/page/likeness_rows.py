"""Rows of the chart of likenesses: every two models, by all weights, by kind of module, by layer, by drift profile and by direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from repdrift.core.records.likeness import ChangeLikeness, GroupLikeness, PairLikeness
from repdrift.core.weights_words import group_title
from repdrift.core.words import layers_named

ALL_WEIGHTS = "all weights"
OUTSIDE = "weights outside the blocks"
PROFILES = "drift by layer (rank correlation)"
MOST_ROWS = 40_000
"""Rows of the chart in a page, at most; layers are left out where there would be more."""
COLUMNS = ["model", "other", "by", "likeness", "chance", "weights", "note"]
Groups = Mapping[tuple[int, int], Sequence[GroupLikeness]]
"""Likenesses by kind and layer, by the places of the two models."""


@dataclass(frozen=True)
class LikenessRows:
    """Rows, one for each two models and choice, in `COLUMNS`; the choices in order; and a sentence on layers that are left out ("" for none)."""

    rows: pd.DataFrame
    choices: list[str]
    left_out: str


def likeness_rows(found: ChangeLikeness, groups: Groups, *, most: int = MOST_ROWS) -> LikenessRows:
    """Returns the rows of all choices that the results hold. A likeness that is missing has its reason as note."""
    place = {model: at for at, model in enumerate(found.order)}
    whole = [_row(found, place, pair, ALL_WEIGHTS, pair.whole) for pair in found.pairs]
    kinds = [_row(found, place, pair, f"weights: {group_title(at.group)}", at) for pair, at in _groups(found, groups, "kind")]  # fmt: skip
    outside = [_row(found, place, pair, OUTSIDE, at) for pair, at in _groups(found, groups, "layer") if not at.group.isdecimal()]  # fmt: skip
    profiles = [
        {**_named(found, place, at.first, at.second), "by": PROFILES, "likeness": at.spearman, "chance": None, "weights": None, "note": at.missing or ""}
        for at in found.profiles
    ]  # fmt: skip
    layers: dict[int, list[dict[str, object]]] = {}
    for pair, at in _groups(found, groups, "layer"):
        if at.group.isdecimal():
            layers.setdefault(int(at.group), []).append(_row(found, place, pair, f"weights of layer {at.group}", at))
    directions: dict[int, list[dict[str, object]]] = {}
    for at in found.directions:
        directions.setdefault(at.layer, []).append(
            {**_named(found, place, at.first, at.second), "by": f"directions in layer {at.layer}", "likeness": at.cosine, "chance": at.chance, "weights": None, "note": at.missing or ""}
        )  # fmt: skip
    every = sorted({*layers, *directions})
    always = [*whole, *kinds, *outside, *profiles]
    kept = _kept(every, {n: len(layers.get(n, ())) + len(directions.get(n, ())) for n in every}, most - len(always))
    by_layer = [row for of in (layers, directions) for layer in kept for row in of.get(layer, [])]
    rows = pd.DataFrame([*whole, *profiles, *kinds, *outside, *by_layer], columns=COLUMNS)
    left = "" if len(kept) == len(every) else f" Of {len(every)} layers, {layers_named(kept)} can be chosen here; likeness.parquet has all."  # fmt: skip
    return LikenessRows(rows, list(dict.fromkeys(rows["by"])), left)


def names_in_order(found: ChangeLikeness) -> list[str]:
    """The names of the models that have a likeness of any kind, as clustering puts them."""
    there = {place for pair in (*found.pairs, *found.profiles, *found.directions) for place in (pair.first, pair.second)}  # fmt: skip
    return [found.models[place].name for place in found.order if place in there]


def groups_of_record(found: ChangeLikeness) -> Groups:
    """The likenesses by kind and layer that the record itself holds, as that of a comparison does."""
    return {(pair.first, pair.second): pair.groups for pair in found.pairs if pair.groups}


def groups_of_table(found: ChangeLikeness, table: pd.DataFrame | None) -> Groups:
    """The likenesses by kind and layer of a study, from the table beside its results; none without the table."""
    if table is None:
        return {}
    places = {(model.task, model.method, model.seed): place for place, model in enumerate(found.models)}
    rows = table[(table["of"] == "weights") & table["by"].isin(["kind", "layer"])].copy()
    for name in ("seed", "other_seed", "weights", "cosine", "chance"):
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype("float64")
    groups: dict[tuple[int, int], list[GroupLikeness]] = {}
    for at in rows.dropna(subset=["seed", "other_seed", "weights"]).to_dict("records"):
        first, second = (places.get((at[f"{o}task"], at[f"{o}method"], int(at[f"{o}seed"]))) for o in ("", "other_"))
        if first is None or second is None:
            continue
        cosine, chance = (None if math.isnan(at[name]) else at[name] for name in ("cosine", "chance"))
        missing = None if pd.isna(at["missing"]) else str(at["missing"])
        found_at = GroupLikeness(by=at["by"], group=str(at["group"]), weights=int(at["weights"]), cosine=cosine, chance=chance, missing=missing)  # fmt: skip
        groups.setdefault((first, second), []).append(found_at)
    return groups


def _groups(found: ChangeLikeness, groups: Groups, by: str) -> Iterator[tuple[PairLikeness, GroupLikeness]]:
    for pair in found.pairs:
        for at in groups.get((pair.first, pair.second), ()):
            if at.by == by:
                yield pair, at


def _row(
    found: ChangeLikeness, place: Mapping[int, int], pair: PairLikeness, by: str, at: GroupLikeness
) -> dict[str, object]:
    named = _named(found, place, pair.first, pair.second)
    return {**named, "by": by, "likeness": at.cosine, "chance": at.chance, "weights": at.weights, "note": at.missing or ""}  # fmt: skip


def _named(found: ChangeLikeness, place: Mapping[int, int], first: int, second: int) -> dict[str, object]:
    """The names of two models; the one that comes first in the order is `model`."""
    one, other = sorted((first, second), key=lambda at: place.get(at, len(place)))
    return {"model": found.models[one].name, "other": found.models[other].name}


def _kept(layers: Sequence[int], counts: Mapping[int, int], room: int) -> list[int]:
    """Layers that fit into so many rows, evenly spaced, with the first and the last."""
    for count in range(len(layers), 0, -1):
        kept = sorted({layers[round(at * (len(layers) - 1) / max(1, count - 1))] for at in range(count)})
        if _rows(kept, counts) <= room:
            return kept
    return []


def _rows(layers: Iterable[int], counts: Mapping[int, int]) -> int:
    return sum(counts[layer] for layer in layers)
