"""The tidy table of the first tokens: one row for each token that is read from a shift, of trained models and of random changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repdrift.core.records.directions import TokenReading
from repdrift.core.records.first_tokens import FirstTokenShift, ModelFirstTokens
from repdrift.core.shown_text import for_terminal

TRAINED = "trained"
RANDOM_CHANGE = "random_change"


def first_token_rows(names: Mapping[str, Any], found: ModelFirstTokens) -> list[dict[str, Any]]:
    """Rows of one model. names: columns that say which. change: `trained` or `random_change`; rank: from 1; side: raised or lowered."""
    rows: list[dict[str, Any]] = []
    for shift in found.shifts:
        if shift.tokens is not None:
            rows += _rows(names, shift, found, TRAINED, None, shift.shift, shift.tokens)
        for random in shift.random:
            if random.tokens is not None:
                rows += _rows(names, shift, found, RANDOM_CHANGE, random.noise_seed, random.shift, random.tokens)
    return rows


def _rows(
    names: Mapping[str, Any],
    at: FirstTokenShift,
    found: ModelFirstTokens,
    change: str,
    noise_seed: int | None,
    shift: float | None,
    tokens: TokenReading,
) -> list[dict[str, Any]]:
    trained = change == TRAINED
    return [
        {
            **names,
            "layer": at.layer,
            "position": at.position,
            "change": change,
            "noise_seed": noise_seed,
            "documents": at.documents,
            "beginnings": at.beginnings,
            "base_norm": at.base_norm,
            "shift": shift,
            "adjusted_pvalue": at.adjusted_pvalue if trained else None,
            "side": side,
            "rank": rank,
            "token_id": token.token_id,
            "token": for_terminal(token.token),
            "logit": token.logit,
            "score": token.score,
            "chance": tokens.chance,
            "chance_anywhere": found.chance,
            "beyond_chance": token.beyond_chance,
            "agreement": tokens.agreement,
        }
        for side, end in (("raised", tokens.top), ("lowered", tokens.bottom))
        for rank, token in enumerate(end, start=1)
    ]
