"""Texts shown token by token, each with KL(base || tuned) of its prediction: those whose predictions changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repdrift.core.hidden_secrets import HIDDEN, without_secrets
from repdrift.core.records.outcomes import Inputs, ShadedTokens
from repdrift.outcomes.base_outputs import BaseOutputs
from repdrift.outcomes.output_pass import OutputItems

STRIPS = 3
"""Texts that are shown of each kind."""
MOST_TOKENS = 160
"""Tokens of a text that are shown."""
_READ_BEYOND = 100
"""Tokens behind the shown ones that are read too, so that a secret that is cut there is still known as one."""
_CUT_CHARACTER = "\ufffd"


def token_strips(read: OutputItems, base: BaseOutputs, inputs: Inputs, *, most: int = STRIPS) -> list[ShadedTokens]:
    """The texts with the largest mean KL, the largest first. Empty where values of tokens were not kept, or no tokenizer is known."""
    return strips_of(read.tokens, base, inputs, most=most) or []


def strips_of(
    by_token: Mapping[int, np.ndarray], base: BaseOutputs, inputs: Inputs, *, most: int = STRIPS
) -> list[ShadedTokens] | None:
    """The texts with the largest mean KL, the largest first. by_token: KL of each token that was predicted, by the number of its sample.

    None where values of some text are not there, so that the largest ones are not known, or where no tokenizer is known.
    """
    tokenizer = base.samples.tokenizer
    asked = {index for index, places in enumerate(base.places.places) if len(places)}
    if tokenizer is None or not asked or not asked <= by_token.keys():
        return None
    means = {index: float(by_token[index].mean(dtype=np.float64)) for index in sorted(asked)}
    order = sorted((index for index in means if means[index] > 0), key=lambda index: -means[index])
    shift = 1 if base.head.kind == "causal" else 0  # a causal model predicts the token behind the place that is read
    return [_strip(by_token, base, index, means[index], shift, tokenizer, inputs) for index in order[:most]]


def pieces(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """The text of each token, which joined give the text; a character that several tokens make stands at the last of them."""
    found: list[str] = []
    before = ""
    for end in range(1, len(ids) + 1):
        whole = str(tokenizer.decode(list(ids[:end]), clean_up_tokenization_spaces=False))
        begun = whole.endswith(_CUT_CHARACTER) and end < len(ids)
        found.append("" if begun or not whole.startswith(before) else whole[len(before) :])
        if not begun:
            before = whole
    return found


def without_secret_pieces(found: Sequence[str]) -> list[str]:
    """The pieces of a text without its secrets, of which no single piece may look like one."""
    joined = "".join(found)
    hidden = without_secrets(joined)
    if hidden == joined:
        return list(found)
    begin = _alike(joined, hidden)
    end = len(joined) - _alike(joined[begin:][::-1], hidden[begin:][::-1])
    kept: list[str] = []
    at = 0
    for piece in found:
        secret = piece and at < end and at + len(piece) > begin
        kept.append(HIDDEN if secret else piece)
        at += len(piece)
    return kept


def _alike(one: str, other: str) -> int:
    """Returns the number of characters at the beginning that are the same in both."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _strip(
    values: Mapping[int, np.ndarray],
    base: BaseOutputs,
    index: int,
    mean: float,
    shift: int,
    tokenizer: Any,
    inputs: Inputs,
) -> ShadedTokens:
    ids = list(base.samples.input_ids[index])
    shown = ids[:MOST_TOKENS]
    by_token: list[float | None] = [None] * len(ids)
    for place, value in zip(base.places.places[index], values[index], strict=True):
        by_token[int(place) + shift] = float(value)
    return ShadedTokens(
        sample=base.samples.sample_ids[index],
        inputs=inputs,
        tokens=without_secret_pieces(pieces(ids[: MOST_TOKENS + _READ_BEYOND], tokenizer))[: len(shown)],
        values=by_token[: len(shown)],
        mean=mean,
        cut=len(ids) - len(shown),
    )
