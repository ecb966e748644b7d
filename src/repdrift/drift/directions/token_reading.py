"""Tokens that a base model's final norm and unembedding read from the shift of a layer, beside those of random directions of its size.

A norm is not linear, so that no token belongs to a direction alone. The shift is therefore read where it happens: as the derivative of the logits at the
base model's mean row of the layer, along the mean difference. Beside it stands the exact difference of logits between the mean with and
without the shift. Logits are taken about their mean over all tokens, since a constant changes no probability.

Rare tokens that were hardly trained react strongly to any direction, and would stand first whatever the shift is. So a token's logit is divided by what
random directions of the same norm give that token: the root mean square over directions that are drawn evenly, or over directions in which the
base model's samples scatter, whichever is larger. Chance is the largest size that this score reaches in any random direction for any token, each
direction being left out of its own root mean square.
Source: nostalgebraist 2020 (logit lens); Minder et al. 2025 (of activation differences). Departure: the derivative, the score, and the level of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.core.records.directions import ReadToken, TokenReading
from repdrift.core.shown_text import for_terminal
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.similarity.directions.differences import Differences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DRAWS = 64
"""Random directions: half of them even, half as the base model's samples scatter. Their largest logit is passed by chance in about 1 layer of 65."""

TOKENS = 10
"""Tokens that are named at each end."""


@dataclass(frozen=True)
class ChanceLogits:
    """Logits that random directions of length 1 give at one state. squares: (v,) the larger mean square of the two kinds of directions.

    chance: the largest size of a score that one of the `draws` directions reaches for any token.
    """

    squares: Tensor
    chance: float
    draws: int


class TokenReadings:
    """Reads tokens from shifts, with one unembedding for all layers and models."""

    def __init__(self, unembedding: Unembedding, tokenizer: PreTrainedTokenizerBase, *, seed: int = 0) -> None:
        self._unembedding = unembedding
        self._tokenizer = tokenizer
        self._seed = seed
        known = tokenizer.convert_ids_to_tokens(list(range(min(len(tokenizer), unembedding.tokens))))
        self._known = torch.tensor([number for number, token in enumerate(known) if token is not None])
        """Tokens that the tokenizer has: rows that only fill up the vocabulary say nothing."""

    def read(self, layer: int, differences: Differences) -> TokenReading:
        """Reads the tokens of one layer's shift. Whether there is a shift at all is for the caller to say.

        Raises DegenerateInputError if there is no shift; OutcomeNotApplicable or ModelError if the unembedding cannot read it.
        """
        mean = differences.base.mean(dim=0)
        return self.of_shift(mean, differences.mean, self.by_chance(mean, differences.centred_base, self._seed + layer))

    def read_beside(
        self, layer: int, differences: Differences, random_shift: Tensor
    ) -> tuple[TokenReading, TokenReading]:
        """Reads the tokens of one layer's shift, and of the shift (d,) that a random change of the weights gives there. Raises what `read` raises."""
        mean = differences.base.mean(dim=0)
        shifts = torch.stack([differences.mean, random_shift.to(differences.mean)])
        own, random = self.of_shifts(mean, shifts, self.by_chance(mean, differences.centred_base, self._seed + layer))
        return own.beyond(random), random

    def by_chance(self, at: Tensor, centred_base: Tensor, seed: int) -> ChanceLogits:
        """Reads random directions at the state `at` (d,): half drawn evenly, half as the rows of `centred_base` (n, d) scatter.

        The scores of a shift do not depend on its size, so that this serves shifts of every size there.
        Raises OutcomeNotApplicable or ModelError if the unembedding cannot read them.
        """
        drawn = _directions(centred_base, seed)
        squares, chance = _chance(self._centred(self._unembedding.derivatives(at, drawn)))
        return ChanceLogits(squares, chance, len(drawn))

    def of_shift(self, at: Tensor, shift: Tensor, by_chance: ChanceLogits) -> TokenReading:
        """Reads the tokens of a shift (d,) at the state `at` (d,). by_chance: of the same state. Raises what `of_shifts` raises."""
        return self.of_shifts(at, shift[None], by_chance)[0]

    def of_shifts(self, at: Tensor, shifts: Tensor, by_chance: ChanceLogits) -> list[TokenReading]:
        """Reads the tokens of several shifts (m, d) at the state `at` (d,), all in one pass through the unembedding, which is what takes time.

        Raises DegenerateInputError if one is no shift; OutcomeNotApplicable or ModelError if the unembedding cannot read them.
        """
        sizes = torch.linalg.vector_norm(shifts, dim=1, keepdim=True)
        if not bool(sizes.all()):
            raise DegenerateInputError("the shift is exactly zero")
        slopes = self._centred(self._unembedding.derivatives(at, shifts / sizes))
        logits = self._centred(self._unembedding.logits(torch.cat([at[None], at + shifts])))
        return [
            self._reading(slope, float(size), exact, by_chance)
            for slope, size, exact in zip(slopes, sizes[:, 0], logits[1:] - logits[0], strict=True)
        ]

    def _reading(self, slope: Tensor, size: float, exact: Tensor, by_chance: ChanceLogits) -> TokenReading:
        """The tokens of one shift. slope: (v,) the derivative of the logits for each unit of its size. exact: (v,) their difference."""
        own, scores, chance = slope * size, _over(slope, by_chance.squares), by_chance.chance
        lengths = float(torch.linalg.vector_norm(own)) * float(torch.linalg.vector_norm(exact))
        order = scores.argsort(descending=True, stable=True)
        most = min(TOKENS, len(order) // 2)
        return TokenReading(
            top=[self._token(int(i), own, scores, chance) for i in order[:most]],
            bottom=[self._token(int(i), own, scores, chance) for i in order.flip(0)[:most]],
            chance=chance,
            draws=by_chance.draws,
            agreement=float(own @ exact) / lengths if lengths > 0 else None,
        )

    def _centred(self, logits: Tensor) -> Tensor:
        kept = logits.cpu().double()[:, self._known]
        return kept - kept.mean(dim=1, keepdim=True)

    def _token(self, position: int, logits: Tensor, scores: Tensor, chance: float) -> ReadToken:
        number, score = int(self._known[position]), float(scores[position])
        return ReadToken(
            token_id=number,
            token=token_text(self._tokenizer, number),
            logit=float(logits[position]),
            score=score,
            beyond_chance=abs(score) > chance,
        )


def _chance(drawn: Tensor) -> tuple[Tensor, float]:
    """Mean squares (v,) of the logits of random directions (k, v), and the largest score that one of them reaches: the first half even, then the others."""
    halves = [half for half in drawn.split(DRAWS // 2) if len(half)]
    squares = [half.square().mean(dim=0) for half in halves]
    chance = 0.0
    for number, half in enumerate(halves):
        for logits in half:  # without itself, as the shift is without itself
            without = (squares[number] * len(half) - logits.square()) / (len(half) - 1)
            others = [without, *(squares[other] for other in range(len(halves)) if other != number)]
            chance = max(chance, float(_over(logits, torch.stack(others).amax(dim=0)).abs().max()))
    return torch.stack(squares).amax(dim=0), chance


def _over(logits: Tensor, squares: Tensor) -> Tensor:
    """Logits over the roots of `squares`; 0 for a token that no direction reaches."""
    return torch.where(squares > 0, logits / squares.clamp(min=0).sqrt(), 0.0)


def token_text(tokenizer: PreTrainedTokenizerBase, number: int) -> str:
    """The text of one token with its leading blank, every character that a terminal would obey written as its code.

    A token that is only a part of a character keeps the tokenizer's own name.
    """
    name = str(tokenizer.convert_ids_to_tokens(number))
    text = str(tokenizer.decode([number], skip_special_tokens=False, clean_up_tokenization_spaces=False))
    if not text or "\ufffd" in text:
        text = name
    elif name.startswith("\u2581") and not text.startswith(" "):  # SentencePiece drops the blank of a first word
        text = f" {text}"
    return for_terminal(text)


def _directions(centred_base: Tensor, seed: int) -> Tensor:
    """Random directions (k, d) of length 1."""
    generator = torch.Generator().manual_seed(seed)
    n, p = centred_base.shape
    even = torch.randn((DRAWS // 2, p), dtype=centred_base.dtype, generator=generator).to(centred_base.device)
    weights = torch.randn((DRAWS // 2, n), dtype=centred_base.dtype, generator=generator).to(centred_base.device)
    drawn = torch.cat([even, weights @ centred_base]) if bool(centred_base.any()) else even
    return drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
