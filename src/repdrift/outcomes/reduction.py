"""Reduces the logits of two models to one number for each text and outcome, on so many tokens at a time as fit into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repdrift.core.errors import NonFiniteError, OutcomeNotApplicable
from repdrift.core.process_group import device, world
from repdrift.models import ModelSource
from repdrift.models.output_head import OutputHead
from repdrift.outcomes.base_outputs import BaseOutputs
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.token_outcome import TokenChunk, TokenOutcome
from repdrift.outcomes.vocabularies import Columns

_LOGITS_BYTES, _LOGITS_BYTES_ON_DEVICE = 64 << 20, 1 << 30
_SHOWN = "output_kl"
_MOST_TOKENS_KEPT = 4_000_000
"""Tokens whose values are kept, four bytes each."""
_COPIES = 8
"""Arrays of (tokens, vocabulary) in float32 that are in memory at once: logits, log-probabilities, what is computed from them."""


_NEVER = -1e4
"""In the place of a log-probability of -inf: its exponential is exactly 0 in float32, and it can be subtracted."""


@dataclass(frozen=True)
class ItemValues:
    """One outcome of every sample, in nats or shares.

    value: (n,) float64, the tuned model's mean over the sample's tokens. base_value: (n,) float64, the base model's own; NaN
    throughout for outcomes that are about both models (KL, Jensen-Shannon, top-1 agreement). Both are NaN for a sample without a token
    that could be predicted, whose weight is 0.
    """

    value: np.ndarray
    base_value: np.ndarray


class Reduction:
    """Token outcomes of one tuned model by sample, filled batch by batch."""

    def __init__(
        self,
        base: BaseOutputs,
        tuned: ModelSource,
        head: OutputHead,
        columns: Columns,
        outcomes: Sequence[TokenOutcome],
        options: OutputOptions,
    ) -> None:
        self.base, self.tuned, self.head, self.outcomes = base, tuned, head.to(device()), outcomes
        self._kept = None if columns.kept is None else torch.from_numpy(columns.kept).to(device())
        usual = _LOGITS_BYTES if device().type == "cpu" else _LOGITS_BYTES_ON_DEVICE
        rows = max(base.head.rows, head.rows)
        self._tokens = max(1, (options.logits_bytes or usual) // (4 * rows * _COPIES))
        n = len(base.samples)
        self._sums = {outcome.name: np.zeros((2, n)) for outcome in outcomes}
        self._by_token: dict[int, np.ndarray] = {}
        self._keeps_tokens = base.places.counts.sum() <= _MOST_TOKENS_KEPT

    def add(self, samples: Sequence[int], base_states: Tensor, states: Tensor) -> None:
        """Sets the values of some samples. base_states, states: (m, d), at the places of these samples, in their order."""
        if self.head is self.base.head and states.shape[1] != base_states.shape[1]:
            raise OutcomeNotApplicable(
                f"the hidden states of {self.tuned.ref!r} are {states.shape[1]} features wide, and the base model's head reads {base_states.shape[1]}: "
                "it was hardly tuned from it"
            )
        places = self.base.places
        targets = torch.from_numpy(np.concatenate([places.targets[index] for index in samples]))
        owners = np.repeat(np.asarray(samples), [len(places.places[index]) for index in samples])
        for sums in self._sums.values():
            sums[:, np.asarray(samples)] = (
                0  # a batch may come again, after memory ran out or with its padding left out
            )
        by_token: list[np.ndarray] = []
        for start in range(0, len(owners), self._tokens):
            part = slice(start, start + self._tokens)
            by_token += self._add_chunk(
                base_states[part].to(device()), states[part], targets[part].to(device()), owners[part]
            )
        if by_token and self._keeps_tokens:
            ends = np.cumsum([len(places.places[index]) for index in samples])[:-1]
            self._by_token |= dict(zip(map(int, samples), np.split(np.concatenate(by_token), ends), strict=True))

    def _add_chunk(self, base_states: Tensor, states: Tensor, targets: Tensor, owners: np.ndarray) -> list[np.ndarray]:
        """Adds to the sums. Returns KL(base || tuned) of each token, (m,) float32, in a list; an empty list if it is not asked for."""
        by_token: list[np.ndarray] = []
        with torch.inference_mode():
            base = self._log_probabilities(
                self.base.head, base_states, owners, f"the base model {self.base.source.ref!r}"
            )
            tuned = self._log_probabilities(self.head, states, owners, f"the tuned model {self.tuned.ref!r}")
            columns = targets if self._kept is None else torch.searchsorted(self._kept, targets)
            base, tuned = self._possible(base, tuned, columns, owners)
            chunk = TokenChunk(base, tuned, columns)
            for outcome in self.outcomes:
                values = outcome.reduce(chunk)
                if outcome.name == _SHOWN:
                    by_token.append(values.tuned.float().cpu().numpy())
                for row, found in enumerate((values.tuned, values.base)):
                    if found is not None:
                        np.add.at(self._sums[outcome.name][row], owners, found.double().cpu().numpy())
        return by_token

    def by_token(self) -> dict[int, np.ndarray]:
        """KL(base || tuned) of every token by the number of its sample, in the order of its places; empty if there are too many. In every process."""
        processes = world()
        parts = processes.gather(self._by_token)
        merged = None if parts is None else {index: of for part in parts for index, of in part.items()}
        return processes.from_first(merged) or {}

    def _log_probabilities(self, head: OutputHead, states: Tensor, owners: np.ndarray, model: str) -> Tensor:
        logits = head.logits(states).float()
        if self._kept is not None:
            logits = logits[:, self._kept]
        found = torch.log_softmax(logits, dim=1)
        # A logit of -inf is a token that is never predicted, such as a row that pads the vocabulary. +inf and NaN give NaN, which amin keeps.
        wrong = found.amin(dim=1).isnan()
        if bool(wrong.any()):
            raise NonFiniteError(
                f"{model} puts out numbers that are not finite for {self._text(wrong, owners)}. Look at its weights: was training "
                "unstable? A run in float16 overflows where float32 or bfloat16 does not (--compute-dtype)."
            )
        return found

    def _possible(self, base: Tensor, tuned: Tensor, targets: Tensor, owners: np.ndarray) -> tuple[Tensor, Tensor]:
        """Log-probabilities in which a token that neither model ever predicts has the probability 0, and a difference of exactly 0.

        Raises NonFiniteError if only one of them rules a token out, or both rule out one that stands in the text.
        """
        if not bool(torch.minimum(base.amin(), tuned.amin()).isneginf()):
            return base, tuned
        never = base.isneginf()
        models = f"the base model {self.base.source.ref!r} and the tuned model {self.tuned.ref!r}"
        apart = (never != tuned.isneginf()).any(dim=1)
        if bool(apart.any()):
            raise NonFiniteError(
                f"{models} do not rule out the same tokens (logits of -inf) for {self._text(apart, owners)}, so that their divergence is infinite or "
                "not defined"
            )
        asked = never.gather(1, targets[:, None])[:, 0]
        if bool(asked.any()):
            raise NonFiniteError(
                f"{models} rule out a token that stands there (a logit of -inf) in {self._text(asked, owners)}, so that its loss is infinite"
            )
        return base.masked_fill(never, _NEVER), tuned.masked_fill(never, _NEVER)

    def _text(self, wrong: Tensor, owners: np.ndarray) -> str:
        """The first text with a token that is wrong, (m,)."""
        return self.base.samples.described(int(owners[int(wrong.nonzero()[0])]))

    def gathered(self) -> dict[str, ItemValues]:
        """Means by sample over the batches of all processes, in every process."""
        processes = world()
        parts = processes.gather(self._sums)
        sums = None if parts is None else {name: np.sum([part[name] for part in parts], axis=0) for name in self._sums}
        sums = processes.from_first(sums)
        assert sums is not None  # noqa: S101  the first process has them
        return means_of(sums, self.outcomes, self.base.places.counts)

    def sums_of(self, samples: Sequence[int]) -> np.ndarray:
        """Sums over the tokens of some samples, (outcomes, 2, samples): the tuned model's, and the base model's own."""
        return np.stack([self._sums[outcome.name][:, np.asarray(samples)] for outcome in self.outcomes])


def means_of(
    sums: Mapping[str, np.ndarray], outcomes: Sequence[TokenOutcome], counts: np.ndarray
) -> dict[str, ItemValues]:
    """Means by sample. sums: (2, n) for each outcome, the tuned model's and the base model's own. counts: (n,) tokens of each sample."""
    found: dict[str, ItemValues] = {}
    for outcome in outcomes:
        with np.errstate(invalid="ignore"):
            value, own = np.asarray(sums[outcome.name]) / np.where(counts > 0, counts, np.nan)
        found[outcome.name] = ItemValues(value, own if outcome.own_base else np.full(len(value), np.nan))
    return found
