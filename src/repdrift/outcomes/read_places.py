"""The places of texts where models are asked for a token: the next token of causal models, masked tokens of masked ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from repdrift.core.errors import OutcomeNotApplicable
from repdrift.models.output_head import HeadKind
from repdrift.tasks import SampleSet, token_ids

MASKED_SHARE = 0.15
MASK_RULE = f"repdrift masked places 1, share {MASKED_SHARE}"
"""Names the rule by which tokens are masked: where it changes, values are no longer comparable."""


@dataclass(frozen=True)
class ReadPlaces:
    """Inputs of the models, and the places where their predictions are read.

    inputs: the samples as models read them, masked where a masked model is asked. places: for each sample, the positions whose
    hidden state the head reads. targets: for each sample, the token in truth there; none for a sample without such a place.
    """

    inputs: SampleSet
    places: tuple[np.ndarray, ...]
    targets: tuple[np.ndarray, ...]

    @property
    def counts(self) -> np.ndarray:
        """The number of places of each sample, (n,) float64."""
        return np.array([len(at) for at in self.places], dtype=np.float64)


def read_places(samples: SampleSet, kind: HeadKind, tokenizer: Any) -> ReadPlaces:
    """Finds the places of every sample.

    Causal: every token that is read and follows a token that is read; the place is the one before it. If the samples are pooled over
    a part (see `SampleSet.over`), only tokens of that part count. Masked: `MASKED_SHARE` of the tokens that are read and not special,
    at least one, those with the smallest hash of text and position: equal for all models and in every run.
    tokenizer: for the mask and the special tokens; only masked models need one.
    Raises OutcomeNotApplicable if it has no mask token, or no sample has a place.
    """
    found = _next_tokens(samples) if kind == "causal" else _masked(samples, tokenizer)
    if not any(len(at) for at in found.places):
        raise OutcomeNotApplicable(
            f"none of the {len(samples)} samples has a token that could be predicted: a text needs at least two tokens of its own"
        )
    return found


def _next_tokens(samples: SampleSet) -> ReadPlaces:
    places: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    for index, given in enumerate(samples.input_ids):
        ids = np.asarray(given, dtype=np.int64)
        wanted = _read(samples, index)[1:] & _read(samples, index)[:-1] & _counted(samples, index)[1:]
        places.append(np.flatnonzero(wanted))
        targets.append(ids[1:][wanted])
    return ReadPlaces(samples, tuple(places), tuple(targets))


def _masked(samples: SampleSet, tokenizer: Any) -> ReadPlaces:
    mask = getattr(tokenizer, "mask_token_id", None)
    if mask is None:
        raise OutcomeNotApplicable(
            "the model predicts masked tokens, and its tokenizer names no mask token (mask_token)"
        )
    special = np.array(sorted(set(tokenizer.all_special_ids)), dtype=np.int64)
    places: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    inputs: list[Sequence[int]] = []
    for index, given in enumerate(samples.input_ids):
        ids = np.asarray(given, dtype=np.int64)
        open_to = np.flatnonzero(_read(samples, index) & _counted(samples, index) & ~np.isin(ids, special))
        chosen = _smallest_hashes(ids, open_to)
        places.append(chosen)
        targets.append(ids[chosen])
        hidden = ids.copy()
        hidden[chosen] = mask
        inputs.append(token_ids(hidden.tolist()))
    return ReadPlaces(replace(samples, input_ids=tuple(inputs)), tuple(places), tuple(targets))


def _smallest_hashes(ids: np.ndarray, open_to: np.ndarray) -> np.ndarray:
    count = math.ceil(MASKED_SHARE * len(open_to))
    text = hashlib.sha256(MASK_RULE.encode() + ids.astype("<i8").tobytes())

    def key(position: int) -> bytes:
        digest = text.copy()
        digest.update(int(position).to_bytes(8, "little"))
        return digest.digest()

    return np.array(sorted(sorted(open_to.tolist(), key=key)[:count]), dtype=np.int64)


def _read(samples: SampleSet, index: int) -> np.ndarray:
    """True on the tokens of a sample that an attention mask does not hide."""
    if samples.attention_masks is None:
        return np.ones(len(samples.input_ids[index]), dtype=bool)
    return np.asarray(samples.attention_masks[index], dtype=bool)


def _counted(samples: SampleSet, index: int) -> np.ndarray:
    """True on the tokens of the part that the samples are pooled over."""
    if samples.pooled_masks is None:
        return np.ones(len(samples.input_ids[index]), dtype=bool)
    return np.asarray(samples.pooled_masks[index], dtype=bool)
