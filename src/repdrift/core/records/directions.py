"""Directions in which representations moved: the shift that all samples have in common, what kind of map the rest is, and what it says in words."""

from __future__ import annotations

from repdrift.core.records.base import Record

DIRECTIONS_TABLE = "directions.parquet"
DIRECTION_TOKENS_TABLE = "direction_tokens.parquet"
DIRECTION_LIKENESS_TABLE = "direction_likeness.parquet"
SHIFT_LEVEL = 0.05
"""The level of the corrected p-value up to which a shift is beyond chance."""


class DirectionCountRecord(Record):
    """The number of directions of differences. carrying: the fewest that carry 90 % of their squares, of `most` there can be."""

    carrying: int
    most: int
    participation_ratio: float
    top_share: float
    """The share of the squared differences that the first direction carries."""


class DriftShare(Record):
    """The share of the squared differences that one kind of map accounts for, on held-out samples; of `rest` what none of them does.

    It may lie below 0: then the map meets samples that it has not seen worse than the one before it.
    """

    kind: str
    share: float
    low: float | None = None
    high: float | None = None


class ReadToken(Record):
    """One token of the vocabulary, and how the shift moves its logit against the mean of all tokens; below 0: it lowers it."""

    token_id: int
    token: str
    """The text of the token, with every character that a terminal would obey written as its code."""
    logit: float
    """The derivative along the shift, at the base model's mean."""
    score: float
    """The logit over the root mean square of what random directions of the same size give this token."""
    beyond_chance: bool
    """True if no random direction of the same size, and no random change of the weights where there is one, raises or lowers any token to such a score."""


class TokenReading(Record):
    """Tokens that the base model's final norm and unembedding read from the shift of one layer."""

    top: list[ReadToken]
    """The tokens of the largest scores."""
    bottom: list[ReadToken]
    chance: float
    """The largest size of a score that random directions of the same norm reach for any token: drawn evenly, and as the base model's samples scatter."""
    draws: int
    agreement: float | None
    """The cosine over all tokens between the derivative and the exact difference of logits, both about their means; null if either is zero."""

    def within_chance(self) -> TokenReading:
        """Returns this reading with no token beyond chance."""
        top, bottom = (
            [token.model_copy(update={"beyond_chance": False}) for token in end] for end in (self.top, self.bottom)
        )
        return self.model_copy(update={"top": top, "bottom": bottom})

    @property
    def largest(self) -> float:
        """The largest size of a score."""
        return max((abs(token.score) for token in (*self.top, *self.bottom)), default=0.0)

    def beyond(self, other: TokenReading) -> TokenReading:
        """Returns this reading with those tokens alone beyond chance whose score no token of another one reaches either."""
        top, bottom = (
            [t.model_copy(update={"beyond_chance": t.beyond_chance and abs(t.score) > other.largest}) for t in end]
            for end in (self.top, self.bottom)
        )
        return self.model_copy(update={"top": top, "bottom": bottom})


class BesideRandomChange(Record):
    """A model's directions beside those of the base model after a random change of its weights of the same size, over the same rows.

    The control is run on a part of the samples in a comparison, and on all of them in a study. Only numbers over the same rows are compared.
    """

    rows: int
    own_shift_share: float | None = None
    random_shift_share: float | None = None
    """The share of the squared differences that a shift accounts for, as in `shares`; null where there are too few rows."""
    own_relative_shift: float | None = None
    random_relative_shift: float | None = None
    """The size of the shift in spreads, without its noise; null where noise alone gives as much."""
    own_whole: DirectionCountRecord | None = None
    random_whole: DirectionCountRecord | None = None
    own_centred: DirectionCountRecord | None = None
    random_centred: DirectionCountRecord | None = None
    random_tokens: TokenReading | None = None
    """The tokens that are read from the shift of the random change, at the same state; null where none are read."""


class LayerDirections(Record):
    """Directions of one layer. Norms are Euclidean, in the unit of the representations; ends are of intervals over samples, conditional on the models."""

    layer: int
    relative_change: float | None
    """||tuned - base||_F / ||base||_F; null where the base model's numbers are all zero."""
    spread: float | None = None
    """Root mean square distance of the base model's rows from their mean."""
    shift: float | None = None
    """The norm of the mean difference, as it is: noise is part of it."""
    shift_noise: float | None = None
    """The norm that noise alone is expected to give it: its standard error."""
    shift_squared: float | None = None
    """Squared norm without that of noise. It keeps its sign: below 0 where noise alone gives more."""
    shift_size: float | None = None
    """Its root; null where it is not above 0."""
    shift_low: float | None = None
    shift_high: float | None = None
    relative_shift: float | None = None
    """`shift_size` in spreads of the base model's samples."""
    relative_shift_low: float | None = None
    relative_shift_high: float | None = None
    pvalue: float | None = None
    """The test that no shift is common to all samples: signs of whole rows, or of groups of them, are flipped."""
    adjusted_pvalue: float | None = None
    """The same, corrected over the layers of this model."""
    whole: DirectionCountRecord | None = None
    """Directions of the differences with their shift."""
    centred: DirectionCountRecord | None = None
    """The same without their shift."""
    beside_random: BesideRandomChange | None = None
    """The same beside a random change of the weights of the same size; null without that control."""
    shares: list[DriftShare] = []
    rotation_alone: float | None = None
    """Share that a rotation about the origin accounts for by itself."""
    scaling_alone: float | None = None
    """Share that a scaling from the origin accounts for by itself."""
    scale: float | None = None
    """The factor of the scaling."""
    tokens: TokenReading | None = None
    missing: list[str] = []
    """Sentences: what has no number here, and why."""


class ModelDirections(Record):
    """Directions of one tuned model, by layer. n: rows of each. n_groups: groups that are left out or flipped whole; null: each row stands alone."""

    layers: list[LayerDirections]
    n: int
    n_groups: int | None = None
    unit: str = "group"
    confidence: float = 0.95
    folds: int | None = None
    width: int | None = None
    """Features of a row."""
    rotated_directions: int | None = None
    """Directions in which a rotation is sought."""
    smallest_pvalue: float | None = None
    tokens_missing: str | None = None
    """The reason why no tokens are read from the shifts; null if they are."""


class RunDirections(Record):
    """Directions of one run's final model in a study."""

    task: str
    method: str
    seed: int
    found: ModelDirections


class ShiftLikenessRecord(Record):
    """The likeness of the shifts of two seeds of one method and task, in one layer."""

    task: str
    method: str
    seed: int
    other_seed: int
    layer: int
    cosine: float | None
    unbiased_cosine: float | None = None
    """The same without what noise does to it; null where a shift is no larger than noise. It may leave [-1, 1]."""
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    """The size that 5 % of the cosines of unrelated directions exceed."""
    missing: str | None = None


class StudyDirections(Record):
    """Directions of all runs of a study, and how alike the shifts of seeds are."""

    runs: list[RunDirections]
    likeness: list[ShiftLikenessRecord] = []
    left_out: list[str] = []
    """Sentences: runs or parts without numbers, and why."""
