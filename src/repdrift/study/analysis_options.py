"""Settings of an analysis, each with its description: the study file and the command line take them from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from repdrift.core.errors import RepdriftError
from repdrift.core.intruder_options import IntruderCosine, IntruderDirections
from repdrift.core.records.results import DEFAULT_MEASURES, PRIMARY_MEASURE
from repdrift.core.records.what_moved import STUDY_SECTIONS

# What imports torch is imported where it is used, so that the command line can show these options without it.
if TYPE_CHECKING:
    from repdrift.drift.sample_intervals import SamplingOptions
    from repdrift.weights import WeightOptions


class AnalysisOptions(BaseModel):
    """Measures, hypotheses and intervals of an analysis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measures: tuple[str, ...] = Field(
        default=DEFAULT_MEASURES,
        description="Similarity measures (see `repdrift measures`). Debiased CKA, on which the hypotheses are tested, must be one.",
    )
    target_reduction: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Reduction of drift, as a share, that the comparison method is tested to exceed.",
    )
    equivalence_margin: float | None = Field(
        default=None,
        gt=1,
        allow_inf_nan=False,
        description="Factor within which two drifts count as alike; null means 1 / (1 - target_reduction), and no test if that is 1.",
    )
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="Significance level of the tests.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Confidence of every two-sided interval.")
    replicates: int = Field(
        default=10_000, ge=0, le=1_000_000, description="Number of bootstrap resamples of the samples; 0 takes none."
    )
    interval: Literal["percentile", "bca", "jackknife"] = Field(
        default="jackknife", description="Method of the intervals over samples."
    )
    jackknife_groups: int = Field(
        default=40,
        ge=0,
        description="Number of groups of samples that are left out in turn, for measures that have no formula for their interval; "
        "0 gives these measures no interval.",
    )

    equal_skill: bool = Field(
        default=True,
        description="Compare methods at equal skill too, where runs saved checkpoints (training: checkpoints). `repdrift run` then extracts these.",
    )
    equal_skill_score: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        default={},
        description="Score at which a task is compared at equal skill, in its own unit (TASK=SCORE); without it the best that every run reaches.",
    )

    weights: bool = Field(
        default=True,
        description="Describe how the weights changed, matrix by matrix, where the trained models are on this machine.",
    )
    intruder_directions: IntruderDirections = 10
    intruder_cosine: IntruderCosine = 0.5
    likeness: bool = Field(
        default=True,
        description="Say how alike the changes of any two models are, where the trained models are on this machine.",
    )
    samples: bool = Field(default=True, description="Say which samples moved most.")
    sample_texts: bool = Field(
        default=True,
        description="Show texts of the data: samples that moved most, tokens, the first row. Without them, the files of the analysis have ids and labels alone.",
    )
    directions: bool = Field(default=True, description="Say in which directions the representations moved.")
    first_tokens: bool = Field(
        default=True,
        description="For language models, say which tokens the unembedding reads from the shift of the first tokens of general text "
        "(`general_text:`), where the models are on this machine.",
    )
    first_positions: int = Field(
        default=5, ge=1, le=64, description="Tokens of each document of general text that are read, from the first."
    )
    first_token_draws: int = Field(
        default=3,
        ge=0,
        le=20,
        description="Random changes of the weights, as large as training's, beside which each model's first tokens are read.",
    )
    grid: bool = Field(
        default=True, description="Compare every layer of the base model with every layer of the trained models."
    )

    def sections(self) -> list[str]:
        """Returns the sections on what moved that are measured."""
        return [name for name in STUDY_SECTIONS if getattr(self, name)]

    @model_validator(mode="after")
    def _sampling_fits(self) -> AnalysisOptions:
        try:
            self.sampling()
        except RepdriftError as error:
            raise ValueError(str(error)) from error
        return self

    def sampling(self) -> SamplingOptions:
        """Returns how the analysis draws samples and makes intervals."""
        from repdrift.drift.sample_intervals import SamplingOptions

        return SamplingOptions(
            replicates=self.replicates,
            method=self.interval,
            confidence=self.confidence,
            groups=self.jackknife_groups,
        )

    def weight_options(self) -> WeightOptions:
        """Returns how the change of the weights is described."""
        from repdrift.weights import WeightOptions

        return WeightOptions(leading=self.intruder_directions, intruder_cosine=self.intruder_cosine)

    def margin(self) -> float | None:
        """The equivalence margin; None for no test of equivalence."""
        if self.equivalence_margin is not None:
            return self.equivalence_margin
        return 1 / (1 - self.target_reduction) if self.target_reduction > 0 else None

    @field_validator("measures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from repdrift.drift.chosen_measures import require_measures

        try:
            require_measures(names)
        except RepdriftError as error:
            raise ValueError(str(error)) from error
        if PRIMARY_MEASURE not in names:
            raise ValueError(f"the hypotheses are tested on {PRIMARY_MEASURE!r}: name it among the measures too")
        return names
