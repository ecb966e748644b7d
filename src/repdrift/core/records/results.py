"""drift_analysis_results.json and the tidy drift table: what the analysis hands to the report.

The tidy table (`drift.parquet`, `drift.csv`) has one row per task, method, seed, step, layer and measure, in
the columns of `DRIFT_COLUMNS`. A missing number is null in JSON and empty in the table.
"""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

RESULTS_SCHEMA_VERSION = 1
RESULTS_FILE = "drift_analysis_results.json"
SUMMARY_FILE = "drift_analysis_summary.md"
TABLE_PARQUET = "drift.parquet"
TABLE_CSV = "drift.csv"

DRIFT_COLUMNS = (
    "task",  # str
    "method",  # str: full_finetune, lora, ...
    "seed",  # int
    "step",  # int: 0 is the final model
    "layer",  # int, 0-based
    "measure",  # str: cka (debiased linear), cka_biased, cosine, cosine_centered
    "value",  # float: the measure itself
    "drift",  # float: 1 - value for similarities
    "drift_low",  # float: lower end of the 95 % interval of drift, conditional on the trained models; may be empty
    "drift_high",  # float: upper end
    "n",  # int: samples
    "mispaired_value",  # float: the measure when one side's rows are shuffled (mean over shuffles)
    "noise_floor",  # float: |drift| between two extractions of the base model; empty if not at hand
    "above_noise",  # bool: drift is above the noise floor; empty if not at hand
)


class StudyInfo(Record):
    """What was compared."""

    name: str
    model: str
    model_revision: str | None
    tasks: list[str]
    methods: list[str]
    seeds: list[int]
    n_layers: int
    pooling: str
    primary_measure: str
    measures: list[str]
    measure_titles: dict[str, str] = {}
    """By name, in words."""
    distances: list[str] = []
    """Measures whose drift is the value itself; of the others it is 1 - value."""
    reference_method: str
    """The method that the comparison is made against (full_finetune)."""
    comparison_method: str
    """The method said to drift less (lora)."""
    target_reduction: float
    alpha: float


class RunStatus(Record):
    """One planned run, present or not."""

    task: str
    method: str
    seed: int
    step: int
    status: Literal["ok", "missing", "unfinished"]
    reason: str | None = None
    """Why it is not there, and the command that makes it."""
    n_samples: int | None = None
    sample_set_fingerprint: str | None = None
    metrics: dict[str, float | None] = {}
    """Evaluation metrics of the trained model (accuracy, f1, exact_match, ...)."""


class Control(Record):
    """One control value at one layer.

    `identity`: the base model against itself, extracted a second time with other batches.
    `mispaired`: rows of one side shuffled; the value of "no relation".
    `seed_ceiling`: two seeds of the same method; `repeats` is the number of pairs, `value` their mean.
    """

    name: Literal["identity", "mispaired", "seed_ceiling"]
    task: str
    method: str | None
    layer: int
    measure: str
    value: float | None
    drift: float | None
    spread: float | None = None
    """Standard deviation over the repeats."""
    repeats: int


class Reduction(Record):
    """Drift reduction 1 - D_comparison / D_reference of the primary measure."""

    task: str
    """A task, or `all`: mean over tasks."""
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


class HypothesisTest(Record):
    """One permutation test of method labels over trained models."""

    hypothesis: Literal["comparison_drifts_less", "reduction_exceeds_target"]
    task: str
    """A task, or `all`: stratified by task."""
    layer: int | None
    """A layer, or null: the mean over layers."""
    measure: str
    statistic: float | None
    """Mean over tasks of the difference of mean drifts, comparison minus (1 - margin) times reference."""
    pvalue: float | None
    smallest_pvalue: float | None
    """The smallest p-value that this design can reach."""
    pvalue_holm: float | None = None
    pvalue_bh: float | None = None
    """Corrected over the family named in `family`."""
    family: str | None = None
    exact: bool | None
    n_permutations: int | None
    n_units: int
    """Trained models in the test."""
    verdict: Literal["supported", "rejected", "undecided", "not testable"]
    sentence: str
    """The outcome in plain words."""


class SanityCheck(Record):
    """One check of the whole comparison: passed, failed, or (null) not possible with what is at hand."""

    name: str
    passed: bool | None
    detail: str


class DriftResults(Record):
    """Everything the analysis found, but for the tidy table."""

    schema_version: Literal[1] = RESULTS_SCHEMA_VERSION
    created: str
    versions: dict[str, str]
    study: StudyInfo
    runs: list[RunStatus]
    reductions: list[Reduction]
    tests: list[HypothesisTest]
    controls: list[Control]
    sanity: list[SanityCheck]
    warnings: list[str]
    """Plain sentences: what is missing and what that narrows."""
