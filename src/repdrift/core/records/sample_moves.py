"""Records on the samples that moved: shares of the drift, samples that stand out, groups of samples, and tokens by their change."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record
from repdrift.core.records.outcomes import ShadedTokens
from repdrift.core.records.sites import RESID_POST

SAMPLES_TABLE = "samples.parquet"
SAMPLE_COLUMNS = (
    "task",  # str
    "method",  # str: the arm of a study, or the model's name in a comparison
    "seed",  # int; empty in a comparison
    "step",  # int: 0 is the final model
    "site",  # str: resid_post, or another site
    "layer",  # int, 0-based
    "sample",  # str: its id
    "group",  # str: the group of samples that belong together; may be empty
    "label",  # str; may be empty
    "length",  # int: tokens; may be empty
    "share",  # float: its part of the drift at this place; the shares of all samples add up to the drift
    "own_drift",  # float in [0, 2]: its share by its weight
    "cosine_change",  # float in [0, 2]: 1 - cosine of its two rows about the means; may be empty
    "stands_out",  # bool
)
"""The columns of SAMPLES_TABLE: one row per task, method, seed, step, site, layer and sample."""


GroupedBy = Literal["label", "length", "column", "answer"]
"""The facts that make groups of samples: their class, their length, a column of the user's, whether the tuned model answers right."""


class AtPlace(Record):
    """A site inside the model and its layer."""

    site: str = RESID_POST
    layer: int


class MovedSample(Record):
    """One sample, over all layers of the residual stream."""

    sample: str
    """Its id."""
    group: str | None = None
    """The group of samples that belong together, such as a paragraph."""
    label: str | None = None
    length: int | None = None
    """Tokens."""
    text: str | None = None
    """Shortened; null where texts are not shown or not known."""
    share: float
    """Its part of the mean drift over layers: those of all samples add up to it."""
    times: float
    """Its share by the mean share of all samples."""
    times_expected: float | None = None
    """How far it moved by how far samples of its weight did, 1 for the middle one, measured by pairs with the four fifths that moved least: the order of
    the lists. Null for a sample without weight."""
    own_drift: float | None = None
    """Its share by its weight, in [0, 2]: how differently it stands to all other samples."""
    cosine_change: float | None = None
    """1 - cosine of its two rows about the means, mean over layers; null where widths differ or rows are tokens."""
    stands_out: list[AtPlace] = []
    """The places at which its share stands out from those of all samples, and of samples that move by chance."""


class GroupMoves(Record):
    """The mean share of a group of samples by that of all others: 1 where both moved alike."""

    by: GroupedBy
    column: str | None = None
    """The user's column, where that makes the groups."""
    value: str
    n: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    """Interval over samples, or groups of them, conditional on the models."""
    p: float | None = None
    """Two-sided, of the ratio being 1."""
    p_adjusted: float | None = None
    """Holm, over all groups and places of the model."""
    random_ratio: float | None = None
    """The ratio after a random change of the weights as large as training's; null where that was not run."""
    note: str = ""
    """The reason, as a clause, why there is no interval."""


class PlaceMoves(Record):
    """Samples at one place."""

    site: str = RESID_POST
    layer: int
    drift: float
    """The sum of all shares."""
    half: int
    """The fewest samples that hold half of the drift."""
    noise: float | None = None
    """The largest drift of a sample of its own between two runs of the base model; null where it was not measured."""
    named: list[str] = []
    """Samples that stand out, by id, the largest share first."""
    groups: list[GroupMoves] = []
    shares: list[float] = []
    """Of every sample, in order; they add up to the drift. Empty in a study, whose table has them."""
    own_drifts: list[float | None] = []
    cosine_changes: list[float | None] = []
    """Of every sample, as in MovedSample but at this place alone; empty where there are none."""


class SampleList(Record):
    """The samples of a comparison, in order. Lists are empty where nothing is known."""

    sample_ids: list[str]
    groups: list[str] = []
    labels: list[str | None] = []
    lengths: list[int] = []


class SampleMoves(Record):
    """Samples that moved in one tuned model."""

    samples: int
    groups_of: str | None = None
    """Groups that samples come from, in words, where whole ones were left out for the intervals."""
    places: list[PlaceMoves]
    most: list[MovedSample]
    """Samples whose shares are most times those of samples of their weight, the most first."""
    least: list[MovedSample]
    """Samples whose shares are fewest times those of samples of their weight, the fewest first."""
    groups: list[GroupMoves] = []
    """Over all layers of the residual stream."""
    strips: list[ShadedTokens] = []
    notes: list[str] = []
    """Sentences that change how the numbers are read, and what is missing."""


class ModelSamples(Record):
    """Samples of one final model of a study."""

    method: str
    seed: int
    moves: SampleMoves


class SampleAgreement(Record):
    """Agreement of the final models of one method on which samples moved. Models are the units."""

    method: str
    models: int
    w: float | None = None
    """Kendall's W, 0 (none) to 1 (one order)."""
    correlation: float | None = None
    """Mean of Spearman's correlation over all pairs of models."""
    p: float | None = None
    """By shuffling the samples of each model, or whole groups of them by their means."""
    units: int = 0
    unit: str = "sample"
    random_models: int = 0
    """The models that have a random change of the weights of the same size beside them. If all have it, w, correlation and p are of how far samples moved beside
    that change. Otherwise where samples lie is part of the agreement."""
    random_correlation: float | None = None
    """Mean of Spearman's correlation of each model with its random change, over `random_models`; null without any."""
    note: str = ""
    """The reason, as a clause, why there is no number."""


class GroupOverModels(Record):
    """The mean share of a group by that of all others, over the final models of one method: the geometric mean."""

    method: str
    by: GroupedBy
    column: str | None = None
    value: str
    n: int
    """Samples of the group; for right and wrong answers, which each model has its own of, the mean over models."""
    models: int
    ratio: float
    low: float | None = None
    high: float | None = None
    """Interval over models (seeds), Student's t; null for one model."""
    samples_low: float | None = None
    samples_high: float | None = None
    """Interval over samples, or groups of them, conditional on these models."""
    p: float | None = None
    """The larger one of the two p-values, over models and over samples; over samples alone for one model."""
    p_adjusted: float | None = None
    """Holm, over all groups and methods of the task."""
    random_ratio: float | None = None
    """The same after a random change of the weights as large: the geometric mean over the models that have it; null without any."""
    random_models: int = 0
    """The models that have it."""
    note: str = ""


class SeedStrip(Record):
    """One text token by token, of the final model of one seed."""

    seed: int
    strip: ShadedTokens


class MethodSamples(Record):
    """Samples that moved most in the final models of one method, by the mean over models of `times_expected`."""

    method: str
    most: list[MovedSample]
    in_all: list[str] = []
    """Samples that stand out in every model of the method, at some layer each."""
    strips: list[SeedStrip] = []
    """Texts whose predictions changed most, of the task's inputs and then of general text; empty where they were not kept or are not shown."""


class TaskSamples(Record):
    """Samples of one task."""

    task: str
    samples: int
    group_unit: str = "group"
    models: list[ModelSamples]
    methods: list[MethodSamples]
    agreement: list[SampleAgreement]
    groups: list[GroupOverModels] = []
    notes: list[str] = []


class StudySamples(Record):
    """Samples that moved in the final models of a study."""

    tasks: list[TaskSamples]
    left_out: list[str] = []
