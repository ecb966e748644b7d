"""What is to be compared: the runs of a study and where their representation sets lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PlannedSet:
    """One run's representation set at one step, present or not."""

    task: str
    method: str
    seed: int
    step: int
    folder: Path
    command: str
    """The command that makes it."""


@dataclass(frozen=True)
class BaseSets:
    """The base model's set for one task, and its second extraction for the identity control."""

    folder: Path
    identity: Path
    command: str


@dataclass(frozen=True)
class DriftPlan:
    """A whole comparison. `model`: what the study says its base model is; None: whatever the sets say."""

    study: str
    model: str | None
    tasks: Sequence[str]
    methods: Sequence[str]
    seeds: Sequence[int]
    sets: Sequence[PlannedSet]
    bases: Mapping[str, BaseSets]
    measures: Sequence[str]
    target_reduction: float
    alpha: float
    reference_method: str = "full_finetune"
    comparison_method: str = "lora"
    primary_measure: str = "cka"
