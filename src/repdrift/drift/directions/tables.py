"""Tidy tables of directions: one row for each model and layer, and one for each token that is read from a shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from repdrift.core.records.directions import LayerDirections, ModelDirections
from repdrift.core.shown_text import for_terminal

_PLAIN = (
    "relative_change",
    "spread",
    "shift",
    "shift_noise",
    "shift_squared",
    "shift_size",
    "shift_low",
    "shift_high",
    "relative_shift",
    "relative_shift_low",
    "relative_shift_high",
    "pvalue",
    "adjusted_pvalue",
)
_COUNTS = ("whole", "centred")
_BESIDE = ("rows", "own_shift_share", "random_shift_share", "own_relative_shift", "random_relative_shift")
_BESIDE_COUNTS = ("own_whole", "random_whole", "own_centred", "random_centred")
_COUNTED = ("carrying", "most", "participation_ratio", "top_share")
_KINDS = ("shift", "rotation", "scaling", "linear", "rest")


def direction_rows(names: Mapping[str, Any], found: ModelDirections) -> list[dict[str, Any]]:
    """One row for each layer. names: columns that say which model it is. Missing numbers are empty."""
    return [{**names, "layer": at.layer, "n": found.n, "n_groups": found.n_groups, **_row(at)} for at in found.layers]


def token_rows(names: Mapping[str, Any], found: ModelDirections) -> list[dict[str, Any]]:
    """One row for each token that is read from a shift. of: model, or random_change of the same size; rank: from 1; side: raised or lowered."""
    return [
        {
            **names,
            "layer": at.layer,
            "of": of,
            "side": side,
            "rank": rank,
            "token_id": token.token_id,
            "token": for_terminal(token.token),
            "logit": token.logit,
            "score": token.score,
            "chance": reading.chance,
            "beyond_chance": token.beyond_chance,
            "agreement": reading.agreement,
        }
        for at in found.layers
        for of, reading in (
            ("model", at.tokens),
            ("random_change", at.beside_random and at.beside_random.random_tokens),
        )
        if reading is not None
        for side, tokens in (("raised", reading.top), ("lowered", reading.bottom))
        for rank, token in enumerate(tokens, start=1)
    ]


def table_of(rows: list[dict[str, Any]], columns: list[str] | None = None) -> pd.DataFrame:
    """A table of rows; where all of a column is missing it holds no numbers, and is of floats all the same."""
    table = pd.DataFrame(rows, columns=columns)
    empty = [name for name in table.columns if table[name].isna().all()]
    return table.astype(dict.fromkeys(empty, "float64"))


def _row(at: LayerDirections) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(at, name) for name in _PLAIN}
    for name in _COUNTS:
        count = getattr(at, name)
        row |= {f"{name}_{field}": None if count is None else getattr(count, field) for field in _COUNTED}
    shares = {share.kind: share for share in at.shares}
    for kind in _KINDS:
        share = shares.get(kind)
        row |= {
            f"{kind}_share": None if share is None else share.share,
            f"{kind}_share_low": None if share is None else share.low,
            f"{kind}_share_high": None if share is None else share.high,
        }
    beside = at.beside_random
    row |= {f"control_{name}": None if beside is None else getattr(beside, name) for name in _BESIDE}
    for name in _BESIDE_COUNTS:
        count = None if beside is None else getattr(beside, name)
        row[f"control_{name}_carrying"] = None if count is None else count.carrying
    row |= {name: getattr(at, name) for name in ("rotation_alone", "scaling_alone", "scale")}
    row["missing"] = " ".join(at.missing)
    return row
