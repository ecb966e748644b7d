"""Conclusions of the analysis: reductions, intervals, tests, ranks and associations."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

IntervalSource = Literal["models", "samples", "models and samples"]


class Interval(Record):
    """A two-sided interval at the study's confidence.

    over: what another study would draw anew. `samples` is conditional on the trained models, `models` on the samples.
    """

    over: IntervalSource
    low: float
    high: float
    method: str
    """The method that made the interval, in a few words."""


class EffectSize(Record):
    """The size of the difference between the methods, comparison against reference, over trained models."""

    name: Literal["difference", "ratio", "log_ratio", "cliffs_delta"]
    estimate: float | None
    low: float | None
    high: float | None
    missing: str | None = None
    """The reason why a number is missing."""


class Reduction(Record):
    """Drift reduction 1 - D_comparison / D_reference of the primary measure."""

    comparison: str | None = None
    """The method that is compared with the reference; null in results of older versions, which have one such method."""
    task: str
    """A task, or `all`: mean over tasks."""
    tasks: list[str] = []
    """The tasks that it rests on; empty in files of older versions."""
    layer: int | None
    """A layer, or null: mean over layers."""
    site: str = "resid_post"
    """The site whose drift it is of; the residual stream in files of older versions."""
    measure: str
    reduction: float | None
    """Null where the reference drift is not above zero."""
    reduction_low: float | None
    """Lower confidence bound (one-sided, 1 - alpha) over seeds by inverting the permutation test; null if the
    design cannot give one."""
    reference_drift: float | None
    comparison_drift: float | None
    reference_by_seed: dict[str, float | None]
    comparison_by_seed: dict[str, float | None]
    intervals: list[Interval] = []
    """Intervals of `reduction`. `notes` says why one is missing."""
    difference_intervals: list[Interval] = []
    """Intervals of comparison_drift - reference_drift."""
    effects: list[EffectSize] = []
    notes: list[str] = []


Hypothesis = Literal[
    "comparison_drifts_less",
    "comparison_drifts_less_at_equal_skill",
    "reduction_exceeds_target",
    "methods_equivalent",
    "drift_above_identity",
    "drift_above_seed_ceiling",
    "method_task_interaction",
]


class PairedTest(Record):
    """The sign-flip test of the same claim, where each seed was trained under both methods: a second opinion."""

    pvalue: float
    smallest_pvalue: float
    n_pairs: int


Correction = Literal["max-T", "Holm"]

Verdict = Literal["supported", "rejected", "undecided", "not testable"]


class HypothesisTest(Record):
    """One claim about trained models and what the data say of it.

    `comparison_drifts_less`: the reduction is above 0, in final models. `comparison_drifts_less_at_equal_skill`: it is above 0
    where the runs had the same score, see `EqualSkill`. `reduction_exceeds_target`: it is above the target.
    `methods_equivalent`: the ratio of drifts lies within the study's margin either way. `drift_above_identity`: the drift
    of `method` is above the noise of extraction. `drift_above_seed_ceiling`: the base model is farther from the trained
    models than they are from one another. `method_task_interaction`: the reduction is not the same in all tasks.
    """

    hypothesis: Hypothesis
    task: str
    """A task, or `all`: stratified by task."""
    layer: int | None
    """A layer, or null: the mean over layers."""
    site: str = "resid_post"
    """The site whose drift is meant; the residual stream in files of older versions."""
    method: str | None = None
    """The method whose drift is meant; null where methods are compared."""
    comparison: str | None = None
    """The method that is compared with the reference; null for claims about one method, and in results of older versions."""
    measure: str
    test: str = "label permutation"
    """The test, in a few words."""
    estimate: float | None = None
    """The number that the claim is about: a reduction, a ratio of drifts, a drift in excess of the floor."""
    interval: Interval | None = None
    """The interval of the estimate."""
    margin: float | None = None
    """The value that the estimate is tested against."""
    statistic: float | None
    """Mean over tasks of the difference of mean drifts, comparison minus (1 - margin) times reference; of their logarithms where `test` says
    log drift."""
    pvalue: float | None
    opposite_pvalue: float | None = None
    """The p of the opposite claim. If it is small, the claim is rejected."""
    smallest_pvalue: float | None
    """The smallest `pvalue` that this design can reach."""
    correction: Correction | None = None
    """How the p-values that decide are corrected over `family`; null: they are not corrected."""
    n_arms: int = 1
    """Methods compared with the reference whose tests are in `family`. Over several, Holm's correction comes after `correction`."""
    deciding_pvalue: float | None = None
    """The p-value that the verdict rests on. Null in files older than this field, and where nothing was tested."""
    deciding_opposite_pvalue: float | None = None
    """The p-value of the opposite claim that a rejection rests on, with the same correction."""
    smallest_deciding_pvalue: float | None = None
    """The smallest `deciding_pvalue` that this design can reach."""
    pvalue_holm: float | None = None
    pvalue_bh: float | None = None
    pvalue_max_t: float | None = None
    """`pvalue` with each correction over `family`."""
    pvalue_dunnett: float | None = None
    """Over several arms, the step-down p of Dunnett's test of log drift, which assumes normal values of one spread; it decides nothing. Null where
    it does not apply, and in files of older versions."""
    family: str | None = None
    paired: PairedTest | None = None
    exact: bool | None
    n_permutations: int | None
    n_units: int
    """Trained models in the test."""
    verdict: Verdict
    sentence: str
    """The outcome in plain words."""


class LayerCluster(Record):
    """Adjacent layers in which the methods differ, over all tasks: a cluster permutation test.

    A small p says that they differ, and most visibly there; not that every layer of the cluster differs.
    Where several methods are compared with the reference, both p-values are corrected over them by Holm.
    """

    hypothesis: Hypothesis
    comparison: str | None = None
    """The method that is compared with the reference; null in results of older versions."""
    first_layer: int
    last_layer: int
    mass: float
    threshold: float
    pvalue: float
    smallest_pvalue: float


class LayerRank(Record):
    """The rank of one layer by drift; rank 1 drifts most. The ends hold for all layers at once."""

    layer: int
    drift: float
    rank: float
    rank_low: int
    rank_high: int
    may_be_largest: bool


class LayerRanking(Record):
    """The order of layers by drift under one method, over all tasks."""

    method: str
    confidence: float
    over: IntervalSource
    layers: list[LayerRank]


class ScoreAssociation(Record):
    """The rank correlation of drift and score over trained models, within tasks and methods: do models that drift more score less?"""

    metric: str
    method: str | None
    """Null: all methods, each a stratum of its own."""
    correlation: float | None
    low: float | None
    high: float | None
    pvalue: float | None
    smallest_pvalue: float | None
    n_units: int
    sentence: str


class ProfileLikeness(Record):
    """The likeness of two tasks' layer profiles under one method: correlations over layers of mean drifts.

    There is no interval, since layers are no independent units.
    """

    method: str
    task: str
    other_task: str
    pearson: float | None
    spearman: float | None


class MixedModel(Record):
    """A second opinion across tasks: a linear mixed model of log drift, with task as a random effect."""

    comparison: str | None = None
    """The method that is compared with the reference; null in results of older versions."""
    reduction: float | None
    low: float | None
    high: float | None
    pvalue: float | None
    n_units: int
    missing: str | None = None
    """The reason why there is no model."""
