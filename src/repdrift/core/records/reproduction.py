"""reproduction.json: models of a published study that were trained and measured again, beside what was published of them."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

REPRODUCTION_FILE = "reproduction.json"
REPRODUCTION_MARKDOWN = "reproduction.md"

PLAN_FILE = "reproducing.json"

ReproductionVerdict = Literal["same weights", "same numbers", "like another seed", "differs", "not judged"]


class ReproductionPlan(Record):
    """reproducing.json: what a folder is being used for, written before anything is trained there."""

    format_version: Literal[1] = 1
    results_sha256: str
    models: list[str]
    """TASK/METHOD/SEED of each model."""
    random_seed: int | None


class Expected(Record):
    """The interval in which a number of one more model of an arm is to be expected, from the arm's published models."""

    low: float
    high: float

    def allows(self, again: float, published: float) -> bool:
        """Tells whether a number lies in it, or no farther from the published one than its ends from its middle: a model that was published may be an outlier."""
        return self.low <= again <= self.high or abs(again - published) <= (self.high - self.low) / 2


class ReproducedModel(Record):
    """One model: what was published of it, and what training and measuring it again gave."""

    task: str
    method: str
    seed: int
    learning_rate: float
    steps: int | None
    """Optimiser steps of the model that was trained again."""
    layers: list[int]
    drift_published: list[float]
    """By layer, by the study's primary measure."""
    drift_again: list[float]
    """Empty if training diverged."""
    metric: str | None
    """The score that is compared; null where the results have none."""
    score_published: float | None
    score_again: float | None
    same_weights: bool
    """Whether the files of the final model's weights are equal, byte for byte."""
    published_models: int
    """Published models of this arm on this task that the spread is known from."""
    expected_drift: Expected | None
    """Of the mean drift over layers; null: fewer than two published models."""
    expected_score: Expected | None
    verdict: ReproductionVerdict
    """`same numbers`: drift of every layer and score agree in every digit that is printed. `same weights`: the weights agree byte for byte, and the numbers but for rounding. `like another seed`: mean
    drift and score lie where those of another seed of the arm would. `differs`: one of them does not, or training diverged. `not judged`: too few published
    models say where, or it is not known that the same was done."""
    reason: str = ""
    """Why it differs or is not judged, in a sentence; empty for other verdicts."""
    learnt_otherwise: str = ""
    """A sentence where one of the two has learnt its task and the other has not; else empty."""
    trained_now: bool = True
    """False: a trained model was found in the folder, where an earlier start of the command had left it."""
    processor_published: str | None
    processor_again: str | None
    versions_published: dict[str, str]
    versions_again: dict[str, str] = {}
    """Of the libraries that trained it again."""
    published_started: str
    wall_time_s: float

    @property
    def mean_published(self) -> float:
        """Mean drift over layers that was published."""
        return sum(self.drift_published) / len(self.drift_published)

    @property
    def mean_again(self) -> float | None:
        """Mean drift over layers that was found again; None if training diverged."""
        return sum(self.drift_again) / len(self.drift_again) if self.drift_again else None


class Reproduction(Record):
    """Models of a study, drawn at random or named, that were made again from its results alone."""

    format_version: Literal[1] = 1
    created: str
    study: str
    model: str
    results_sha256: str
    """SHA-256 of the published results file, unpacked."""
    measure: str
    measure_title: str
    random_seed: int | None
    """The seed of the draw; null where the models were named."""
    models_to_draw_from: int
    """Published models that were drawn from: those whose training the results describe."""
    tasks: list[str] = []
    """The tasks that the draw was restricted to; empty: all."""
    confidence: float
    """Probability with which all mean drifts and scores together lie where they are expected, if each model is as good as another seed."""
    models: list[ReproducedModel]
    versions: dict[str, str]
    cautions: list[str] = []
