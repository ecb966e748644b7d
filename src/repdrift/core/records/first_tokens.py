"""Tokens read from the shift of the first tokens of general text: by layer and position, beside random changes of the weights of the same size."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record
from repdrift.core.records.directions import TokenReading

FIRST_TOKENS_TABLE = "first_tokens.parquet"
FIRST_TOKENS_FORMAT_VERSION = 1


class RandomReading(Record):
    """Tokens read after one random change of the base model's weights, as large as training's change of each. noise_seed: it is drawn from it."""

    noise_seed: int
    shift: float
    """The norm of its mean difference."""
    tokens: TokenReading | None = None
    """Null where its states moved by no more than the rounding of their numbers."""


class FirstTokenShift(Record):
    """The mean difference tuned - base over the documents, after one block and at one position of the text; and the tokens that are read from it."""

    layer: int
    position: int
    """The place of the token in its document, from 0. A token that the tokenizer puts before the text counts."""
    documents: int
    """Documents that are so long."""
    beginnings: int
    """How many of these differ from each other up to this token: a model that reads from left to right has one state for each."""
    base_norm: float | None = None
    """Mean norm of the base model's states."""
    shift: float | None = None
    """The norm of the mean difference, as it is: noise is part of it."""
    pvalue: float | None = None
    """The test that the documents have no shift in common: signs of whole beginnings are flipped. Null where there is one beginning."""
    adjusted_pvalue: float | None = None
    """The same, corrected over layers and positions of this model."""
    tokens: TokenReading | None = None
    random: list[RandomReading] = []
    missing: str | None = None
    """A sentence: why nothing is read here; null if something is."""


class ModelFirstTokens(Record):
    """Readings of the first tokens of general text for one model."""

    shifts: list[FirstTokenShift]
    chance: float | None = None
    """The size of a score beyond which a token is named: the largest that any random direction, or any random change of the weights, gives
    any token in any layer and at any position of this model; null if nothing is read."""
    draws: int = 0
    """Random changes of the weights that were read."""
    random_missing: str | None = None
    """A sentence: why there are fewer random changes than were asked for; null if there are not."""


class RunFirstTokens(Record):
    """The first tokens of one run's final model in a study."""

    task: str
    method: str
    seed: int
    found: ModelFirstTokens


class FirstTokensFile(Record):
    """`first_tokens.json`: what was read for one trained model, kept for the next analysis. key: of all that determines it."""

    format_version: Literal[1] = FIRST_TOKENS_FORMAT_VERSION
    key: str
    found: ModelFirstTokens
    created: str
    versions: dict[str, str]
    wall_time_s: float


class StudyFirstTokens(Record):
    """Readings of the first tokens of general text for the final models of a study."""

    runs: list[RunFirstTokens]
    source: str
    """Where the general text comes from, in words."""
    documents: int
    positions: int
    """Positions that were asked for, from the first."""
    draws: int
    """Random changes of the weights that were asked for, for each model."""
    causal: bool
    """Whether each token sees only those before it, so that only the beginnings of the documents were run."""
    notes: list[str] = []
    left_out: list[str] = []
    """Sentences: runs without numbers, and why."""
