"""The table of likenesses: one row for every two models, and group of weights or layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from repdrift.core.records.likeness import ChangeLikeness, GroupLikeness, LikenessModel, PairLikeness

_NUMBERS = (
    "cosine",
    "chance",
    "spearman",
    "unbiased",
    "left",
    "right",
    "left_chance",
    "right_chance",
    "left_angle",
    "right_angle",
)
COLUMNS = (
    "of", "model", "other_model", "task", "method", "seed", "other_task", "other_method", "other_seed", "by", "group", "layer",
    "weights", *_NUMBERS, "missing",
)  # fmt: skip


def likeness_table(found: ChangeLikeness, pairs: Sequence[PairLikeness] | None = None) -> pd.DataFrame:
    """Returns all likenesses, one a row. pairs: those of the weights with their groups, if the record has them without."""
    rows: list[dict[str, Any]] = []
    for pair in found.pairs if pairs is None else pairs:
        named = _named(found.models, pair.first, pair.second)
        rows += [{"of": "weights", **named, **_of_group(group)} for group in (pair.whole, *pair.groups)]
    for profile in found.profiles:
        named = _named(found.models, profile.first, profile.second)
        rows.append({"of": "profiles", **named, **profile.model_dump(exclude={"first", "second"})})
    for direction in found.directions:
        named = _named(found.models, direction.first, direction.second)
        rows.append({"of": "directions", **named, **direction.model_dump(exclude={"first", "second"})})
    return _typed(rows)


def _typed(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return table.astype(
        {
            **dict.fromkeys(_NUMBERS, "float64"),
            **dict.fromkeys(("layer", "weights", "seed", "other_seed"), "Int64"),
            **dict.fromkeys(
                (
                    "of",
                    "model",
                    "other_model",
                    "task",
                    "method",
                    "other_task",
                    "other_method",
                    "by",
                    "group",
                    "missing",
                ),
                "object",
            ),
        }
    )


def _named(models: Sequence[LikenessModel], first: int, second: int) -> dict[str, Any]:
    one, other = models[first], models[second]
    return {
        "model": one.name,
        "other_model": other.name,
        "task": one.task,
        "method": one.method,
        "seed": one.seed,
        "other_task": other.task,
        "other_method": other.method,
        "other_seed": other.seed,
    }


def _of_group(group: GroupLikeness) -> dict[str, Any]:
    last = group.group.rpartition(" ")[2] if group.by in ("layer", "module") else ""
    layer = int(last) if last.isdecimal() else None
    return {**group.model_dump(), "layer": layer}
