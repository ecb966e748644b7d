"""Answers to "what moved, and where", beside the drift by layer: in the weights, the samples, the directions, from layer to layer."""

from __future__ import annotations

from repdrift.core.records.base import Record
from repdrift.core.records.directions import ModelDirections, StudyDirections
from repdrift.core.records.first_tokens import StudyFirstTokens
from repdrift.core.records.layer_grid import ModelGrid, StudyGrid
from repdrift.core.records.likeness import ChangeLikeness
from repdrift.core.records.sample_moves import SampleList, SampleMoves, StudySamples
from repdrift.core.records.weights import ModelWeightsMoved, StudyWeightsMoved

SECTIONS = ("weights", "likeness", "samples", "directions", "grid")
"""The sections that can be asked for: `repdrift compare --with`, and `analysis:` in a study file."""

STUDY_SECTIONS = (*SECTIONS, "first_tokens")
"""Those of a study: the last one reads general text, which a comparison is given as its data (docs/directions.md)."""


class ModelMoved(Record):
    """The sections on one tuned model of a comparison. A section that was not asked for is null and not in `left_out`."""

    directions: ModelDirections | None = None
    grid: ModelGrid | None = None
    weights: ModelWeightsMoved | None = None
    samples: SampleMoves | None = None
    left_out: dict[str, str] = {}
    """By section that was asked for and has no numbers: the reason."""


class ComparisonMoved(Record):
    """The sections on all models of a comparison together."""

    likeness: ChangeLikeness | None = None
    samples: SampleList | None = None
    """The samples that `ModelMoved.samples` is about."""
    left_out: dict[str, str] = {}
    """By section that was asked for and has no numbers: the reason."""


class StudyMoved(Record):
    """The sections on the models of a study. A section that was not asked for is null and not in `left_out`."""

    directions: StudyDirections | None = None
    first_tokens: StudyFirstTokens | None = None
    likeness: ChangeLikeness | None = None
    weights: StudyWeightsMoved | None = None
    grid: StudyGrid | None = None
    samples: StudySamples | None = None
    left_out: dict[str, str] = {}
    """By section that was asked for and has no numbers: the reason."""
