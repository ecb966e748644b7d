"""What was measured of all models, before it is put together into a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from repdrift.core.records.comparison import BaseLayer, BetweenModels, LayerDrift
from repdrift.drift.chosen_measures import Reasons


@dataclass
class Measured:
    """Filled model by model; plain values, so that processes can hand it on."""

    accumulated: Literal["rows", "moments"]
    base_layers: list[BaseLayer] = field(default_factory=list)
    layers: dict[str, list[LayerDrift]] = field(default_factory=dict)
    """By model."""
    weights: dict[str, str] = field(default_factory=dict)
    """In words, by model: whose weights it ran on."""
    failed: dict[str, str] = field(default_factory=dict)
    between: list[BetweenModels] = field(default_factory=list)
    undefined: dict[tuple[str, str], Reasons] = field(default_factory=dict)
    """By model and measure: the layers at which it has no value, and why."""
    notes: list[str] = field(default_factory=list)
    """What is missing of a model that was compared, and why, in sentences."""
