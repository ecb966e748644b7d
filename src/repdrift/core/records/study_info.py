"""The study that was analysed: its settings, its runs, their controls and the checks of the whole comparison."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record
from repdrift.core.records.merged import MergedStudy
from repdrift.core.records.run import Learnt
from repdrift.core.records.sink_tokens import SinkSummary


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
    base_digest: str | None = None
    """SHA-256 over the base model's weight files; null in results of older versions."""
    compute_dtype: str | None = None
    """Floating-point type in which the models ran; null in results of older versions."""
    truncated_samples: dict[str, int] = {}
    """By task: samples that were cut at the maximum length; empty in results of older versions."""
    commands: list[str] = []
    """The commands that make the study again; empty in results of older versions."""
    configuration: str | None = None
    """The study file, as YAML, after options and overrides; null in results of older versions."""
    merged: MergedStudy | None = None
    """The studies that were put together to this one; null where it is one study, and in results of older versions."""

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
    """Evaluation metrics of the model at this step (accuracy, f1, exact_match, ...)."""
    learnt: Learnt | None = None
    """Whether the trained model has learnt its task; null where it is not known, as in files of older versions."""
    trained_steps: int | None = None
    """Optimiser steps that the model was trained for; null where it is not known, as in files of older versions."""
    commands: list[str] = []
    """The commands that make its model and its representations again; empty in results of older versions."""


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
    site: str = "resid_post"
    """The site; the residual stream in files of older versions."""
    layer: int
    measure: str
    value: float | None
    drift: float | None
    spread: float | None = None
    """Standard deviation over the repeats."""
    repeats: int


class SanityCheck(Record):
    """One check of the whole comparison: passed, failed, or (null) not possible with what is at hand."""

    name: str
    passed: bool | None
    detail: str
