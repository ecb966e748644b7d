"""drift_analysis_results.json and the tidy drift table: what the analysis hands to the report.

The tidy table (`drift.parquet`, `drift.csv`) has one row per task, method, seed, step, site, layer and measure, in
the columns of `DRIFT_COLUMNS`. A table of an older version has no column `site`; its rows are of `resid_post`. A missing number is null in JSON and empty in the table.
"""

from __future__ import annotations

from typing import Any, Literal

from repdrift.core.notebook_views import notebook_view
from repdrift.core.records.base import Record
from repdrift.core.records.claims import (
    HypothesisTest,
    LayerCluster,
    LayerRanking,
    MixedModel,
    ProfileLikeness,
    Reduction,
    ScoreAssociation,
)
from repdrift.core.records.drift_predictors import DriftPredictors
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.outcomes import StudyOutcomes
from repdrift.core.records.site_drift import SiteDrifts
from repdrift.core.records.study_info import Control, RunStatus, SanityCheck, StudyInfo
from repdrift.core.records.trained_run import TrainedRun
from repdrift.core.records.tuning import StudyTuning
from repdrift.core.records.what_moved import StudyMoved

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
    "site",  # str: resid_post (the residual stream after the block), or another site (docs/explanation/sites.md)
    "layer",  # int, 0-based; embeddings stand at -1, final_norm at the number of blocks
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


class DriftResults(Record):
    """Everything that the analysis found, except the tidy table."""

    schema_version: Literal[2] = RESULTS_SCHEMA_VERSION
    created: str
    versions: dict[str, str]
    study: StudyInfo
    runs: list[RunStatus]
    trained: list[TrainedRun] = []
    """The training of the runs whose folders were at hand; empty in results of older versions."""
    reductions: list[Reduction]
    tests: list[HypothesisTest]
    other_measures: list[Reduction] = []
    """Reductions, averaged over layers, under the measures that are not tested. They show whether the choice of measure matters."""
    clusters: list[LayerCluster] = []
    rankings: list[LayerRanking] = []
    associations: list[ScoreAssociation] = []
    profiles: list[ProfileLikeness] = []
    equal_skill: list[EqualSkill] = []
    """Comparisons of methods at equal skill, for each contrast the tasks and then `all`; empty in results of older versions."""
    drift_predictors: list[DriftPredictors] = []
    """Which measure's drift goes with the score, and with forgetting; empty in results of older versions."""
    mixed_model: MixedModel | None = None
    """The mixed model of the first contrast."""
    other_mixed_models: list[MixedModel] = []
    """The mixed models of the other contrasts."""
    controls: list[Control]
    """Controls at the residual stream."""
    sanity: list[SanityCheck]
    sites: list[SiteDrifts] = []
    """Drift by site: each task, then `all` if there are several; empty where only the residual stream was read, and in older results."""
    site_controls: list[Control] = []
    """Controls at sites other than the residual stream."""
    warnings: list[str]
    """Plain sentences: what is missing, and which claims that weakens."""
    tuning: StudyTuning | None = None
    """How the learning rates were chosen; null in results of older versions, which do not tell."""
    outcomes: StudyOutcomes | None = None
    """What the models can do, beside their drift; null if no run has outcomes, and in results of older versions."""
    moved: StudyMoved | None = None
    """Sections on what moved, beside drift by layer; null if none was asked for, and in results of older versions."""
    table_sha256: dict[str, str] = {}
    """SHA-256 of the table's files beside the results, by name; empty in results of older versions."""

    def _repr_html_(self) -> str:
        return notebook_view("study_view").results_card(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(
            f"<results of the study {self.study.name}: {len(self.runs)} runs; repdrift.load_results(FOLDER) has their tables too>"
        )

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
            "equal_skill": [e for e in self.equal_skill if e.comparison == comparison],
            "mixed_model": next((m for m in mixed if (m.comparison or first) == comparison), None),
            "other_mixed_models": [],
        }
        return self.model_copy(update=kept)
