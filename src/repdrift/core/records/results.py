"""drift_analysis_results.json and the tidy drift table: what the analysis hands to the report.

The tidy table (`drift.parquet`, `drift.csv`) has one row per task, method, seed, step, layer and measure, in
the columns of `DRIFT_COLUMNS`. A missing number is null in JSON and empty in the table.
"""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record
from repdrift.core.records.run import Learnt
from repdrift.core.records.sink_tokens import SinkSummary
from repdrift.core.records.tuning import StudyTuning

RESULTS_SCHEMA_VERSION = 2
RESULTS_FILE = "drift_analysis_results.json"
SUMMARY_FILE = "drift_analysis_summary.md"
TABLE_PARQUET = "drift.parquet"
TABLE_CSV = "drift.csv"

ALL_TASKS = "all"
"""The task name of results that hold over all tasks; also what a user writes for every task."""
PRIMARY_MEASURE = "cka"
"""The measure on which hypotheses are tested: debiased linear CKA."""
DEFAULT_MEASURES = (PRIMARY_MEASURE, "cka_biased", "cosine", "cosine_centered")
"""The measures that are taken where the user names none."""

DRIFT_COLUMNS = (
    "task",  # str
    "method",  # str: full_finetune, lora, ...
    "seed",  # int
    "step",  # int: 0 is the final model
    "layer",  # int, 0-based
    "measure",  # str: cka (debiased linear), cka_biased, cosine, cosine_centered
    "value",  # float: the measure itself
    "drift",  # float: 1 - value for similarities
    "drift_low",  # float: lower end of the interval of drift over samples, conditional on the trained models; may be empty
    "drift_high",  # float: upper end
    "interval",  # str: bootstrap percentile, bootstrap BCa, jackknife; empty if there is none
    "n",  # int: samples
    "mispaired_value",  # float: the measure when one side's rows are shuffled (mean over shuffles)
    "noise_floor",  # float: |drift| between two extractions of the base model; empty if not at hand
    "above_noise",  # bool: drift is above the noise floor; empty if not at hand
    "seed_ceiling_drift",  # float: mean drift between two seeds of the same method and task; empty if there is one seed
    "random_change_drift",  # float: drift of the base model moved by noise of the same size; empty if not at hand
)


class StudyInfo(Record):
    """The study: what was compared, and by which settings."""

    name: str
    model: str
    model_revision: str | None
    tasks: list[str]
    methods: list[str]
    seeds: list[int]
    n_layers: int
    pooling: str
    pool_over: str = "all"
    """The tokens that the pooling takes: `all`, or those of the `prompt` or of the `completion`."""
    sinks: dict[str, SinkSummary] = {}
    """By task: the attention sinks that pooling `mean_without_sinks` leaves out; empty for other poolings."""
    data_notes: dict[str, list[str]] = {}
    """By task: sentences on how the samples were read (what was used as text, rows left out, an example)."""
    primary_measure: str
    measures: list[str]
    measure_titles: dict[str, str] = {}
    """Measure names and their titles in words."""
    distances: list[str] = []
    """Measures whose drift is the value itself. The drift of every other measure is 1 - value."""
    reference_method: str
    """The method that every other is compared with (full_finetune)."""
    comparison_method: str
    """The method that is claimed to drift less (lora); the first one, if several are compared with the reference."""
    comparison_methods: list[str] = []
    """Every method that is compared with the reference; empty in results of older versions, and if there is no other method."""
    method_words: dict[str, str] = {}
    """What each method is, in a few words, by its name: `LoRA, rank 64`. Methods that need no words are left out."""
    target_reduction: float
    equivalence_margin: float | None = None
    """Factor within which the methods' drifts must lie to count as alike; null: not tested."""
    alpha: float
    confidence: float = 0.95
    """The confidence of every two-sided interval."""
    replicates: int = 0
    """Bootstrap resamples of the samples; 0: intervals are jackknife's alone."""

    @property
    def contrasted(self) -> list[str]:
        """The methods that are compared with the reference, one contrast each; also for results of older versions."""
        if self.comparison_methods:
            return self.comparison_methods
        return [] if self.comparison_method == self.reference_method else [self.comparison_method]


class RunStatus(Record):
    """One planned run, present or not."""

    task: str
    method: str
    seed: int
    step: int
    status: Literal["ok", "missing", "unfinished"]
    reason: str | None = None
    """The reason why the set is missing, and the command that makes it."""
    n_samples: int | None = None
    sample_set_fingerprint: str | None = None
    metrics: dict[str, float | None] = {}
    """Evaluation metrics of the trained model (accuracy, f1, exact_match, ...)."""
    learnt: Learnt | None = None
    """Whether the trained model has learnt its task; null where it is not known, as in files of older versions."""


class Control(Record):
    """One control value at one layer.

    `identity`: the base model against itself, extracted a second time with other batches.
    `mispaired`: rows of one side shuffled; the value of "no relation".
    `seed_ceiling`: two seeds of the same method; `repeats` is the number of pairs, `value` their mean.
    `random_change`: the base model after noise moved each weight as far as training did (the same norm).
    """

    name: Literal["identity", "mispaired", "seed_ceiling", "random_change"]
    task: str
    method: str | None
    layer: int
    measure: str
    value: float | None
    drift: float | None
    spread: float | None = None
    """Standard deviation over the repeats."""
    repeats: int


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

    `comparison_drifts_less`: the reduction is above 0. `reduction_exceeds_target`: it is above the target.
    `methods_equivalent`: the ratio of drifts lies within the study's margin either way. `drift_above_identity`: the drift
    of `method` is above the noise of extraction. `drift_above_seed_ceiling`: the base model is farther from the trained
    models than they are from one another. `method_task_interaction`: the reduction is not the same in all tasks.
    """

    hypothesis: Hypothesis
    task: str
    """A task, or `all`: stratified by task."""
    layer: int | None
    """A layer, or null: the mean over layers."""
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
    """Mean over tasks of the difference of mean drifts, comparison minus (1 - margin) times reference."""
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


class SanityCheck(Record):
    """One check of the whole comparison: passed, failed, or (null) not possible with what is at hand."""

    name: str
    passed: bool | None
    detail: str


class DriftResults(Record):
    """Everything that the analysis found, except the tidy table."""

    schema_version: Literal[2] = RESULTS_SCHEMA_VERSION
    created: str
    versions: dict[str, str]
    study: StudyInfo
    runs: list[RunStatus]
    reductions: list[Reduction]
    tests: list[HypothesisTest]
    other_measures: list[Reduction] = []
    """Reductions, averaged over layers, under the measures that are not tested. They show whether the choice of measure matters."""
    clusters: list[LayerCluster] = []
    rankings: list[LayerRanking] = []
    associations: list[ScoreAssociation] = []
    profiles: list[ProfileLikeness] = []
    mixed_model: MixedModel | None = None
    """The mixed model of the first contrast."""
    other_mixed_models: list[MixedModel] = []
    """The mixed models of the other contrasts."""
    controls: list[Control]
    sanity: list[SanityCheck]
    warnings: list[str]
    """Plain sentences: what is missing, and which claims that weakens."""
    tuning: StudyTuning | None = None
    """How the learning rates were chosen; null in results of older versions, which do not tell."""
    table_sha256: dict[str, str] = {}
    """SHA-256 of the table's files beside the results, by name; empty in results of older versions."""

    def contrasts(self) -> list[DriftResults]:
        """The results once for each method that is compared with the reference: with what concerns this contrast, or none.

        If no method is compared with another, the results themselves are the only ones.
        """
        return [self.of_contrast(name) for name in self.study.contrasted] or [self]

    def of_contrast(self, comparison: str) -> DriftResults:
        """The results as results of two methods, the reference and `comparison`; what concerns other contrasts is left out."""
        first = self.study.comparison_method
        mixed = [m for m in (self.mixed_model, *self.other_mixed_models) if m is not None]
        kept = {
            "study": self.study.model_copy(
                update={"comparison_method": comparison, "comparison_methods": [comparison]}
            ),
            "reductions": [r for r in self.reductions if (r.comparison or first) == comparison],
            "other_measures": [r for r in self.other_measures if (r.comparison or first) == comparison],
            "tests": [t for t in self.tests if t.method is not None or (t.comparison or first) == comparison],
            "clusters": [c for c in self.clusters if (c.comparison or first) == comparison],
            "mixed_model": next((m for m in mixed if (m.comparison or first) == comparison), None),
            "other_mixed_models": [],
        }
        return self.model_copy(update=kept)
