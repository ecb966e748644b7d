"""Studies of trained models whose truth is known: log drift = task + method + noise of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Noise = Literal["normal", "t3"]

SPREAD = 0.15
"""The standard deviation of log drift between the seeds of a method."""
TASK_SPREAD = 0.5
FEW, DRAWS, LAYER_DRAWS = 300, 99, 239
"""A test by (1 + hits) / (1 + draws) keeps its level with any number of draws; Holm over 12 layers needs p below 0.0042."""
NEIGHBOURS = 0.9
"""The correlation of the noise of adjacent layers."""


@dataclass(frozen=True)
class Study:
    """A design and the truth that is simulated.

    models: trained models of (reference, comparison) in every task. ratio: the true drift of comparison / reference, by
    layer if layers differ. spreads: the standard deviation of log drift in (reference, comparison). centre: the mean that
    the ratio is about, "mean" (of drifts) or "log" (of log drifts, so the geometric mean); the two differ only if the
    spreads differ. paired: seed i of both methods shares half its variance. interaction: the standard deviation over
    tasks of the log ratio; the ratio is then that of the population from which the tasks are drawn.
    """

    models: tuple[int, int]
    tasks: int = 1
    layers: int = 1
    ratio: float | tuple[float, ...] = 1.0
    noise: Noise = "normal"
    spreads: tuple[float, float] = (SPREAD, SPREAD)
    centre: Literal["mean", "log"] = "mean"
    paired: bool = False
    interaction: float = 0.0

    @property
    def strata(self) -> list[int]:
        """The task of each reference value, then of each comparison value."""
        return [t for m in self.models for t in range(self.tasks) for _ in range(m)]

    @property
    def swapped(self) -> list[int]:
        """The task of each comparison value, then of each reference value."""
        n = self.models[0] * self.tasks
        return [*self.strata[n:], *self.strata[:n]]

    @property
    def tasks_of_pairs(self) -> list[int]:
        """The task of each pair of a paired study."""
        return self.strata[: self.models[0] * self.tasks]

    @property
    def _arrangements(self) -> int:
        return math.comb(sum(self.models), self.models[0]) ** self.tasks

    @property
    def permutations(self) -> int:
        """The number of arrangements to visit: all if they are few, else random ones, so many that 0.05 is one of their levels."""
        if self._arrangements <= FEW:
            return self._arrangements
        return DRAWS if self.layers == 1 else LAYER_DRAWS

    @property
    def exact_level(self) -> float:
        """The largest one-sided rejection rate at or below 0.05 that the visited label arrangements allow."""
        levels = self.permutations + (self._arrangements > FEW)
        return math.floor(0.05 * levels * (1 + 1e-9)) / levels

    @property
    def words(self) -> str:
        """The design for the table."""
        return f"{self.models[0]} v {self.models[1]} seeds, {self.tasks} task{'s' * (self.tasks > 1)}"

    @property
    def truth(self) -> str:
        """The truth for the table."""
        ratios = self.ratio if isinstance(self.ratio, tuple) else (self.ratio,)
        if all(r == 1 for r in ratios):
            what = "no difference" + (f" in {self.layers} layers" if self.layers > 1 else "")
        elif len(set(ratios)) > 1:
            what = f"{sum(r == 1 for r in ratios)} of {len(ratios)} layers alike"
        else:
            what = f"reduction {100 * (1 - ratios[0]):g} %" if ratios[0] < 1 else f"ratio {ratios[0]:g}"
        over_tasks = f", varying over tasks (sd {self.interaction:g})" if self.interaction else ""
        return f"{what}{over_tasks}; {self.noise_words}"

    @property
    def noise_words(self) -> str:
        """The noise for the table."""
        first, second = self.spreads
        if first == second:
            return "t, 3 df" if self.noise == "t3" else "normal"
        method = "reference" if first > second else "comparison"
        return f"thrice the spread in {method}" + (", geometric means" if self.centre == "log" else "")

    def draw(self, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw drifts of reference (tasks x m, layers) and comparison (tasks x k, layers), task by task."""
        task = TASK_SPREAD * generator.standard_normal(self.tasks) + math.log(0.2)
        noise = [self._noise(m, generator) for m in self.models]
        if self.paired:
            shared = self._noise(self.models[0], generator)
            noise = [math.sqrt(0.5) * own + math.sqrt(0.5) * shared for own in noise]
        varying = self.interaction * generator.standard_normal((self.tasks, 1, 1)) if self.interaction else 0.0
        drifts: list[Floats] = []
        for values, spread, effect in zip(noise, self.spreads, (0.0, np.log(self.ratio) + varying), strict=True):
            level = effect + task[:, None, None]
            if self.centre == "mean" and self.spreads[0] != self.spreads[1]:
                level = level - spread**2 / 2  # the mean of exp(normal) is exp(variance / 2)
            drifts.append(np.exp(level + spread * values).reshape(-1, self.layers))
        return drifts[0], drifts[1]

    def _noise(self, m: int, generator: np.random.Generator) -> Floats:
        """Draw noise (tasks, m, layers) with variance 1, correlated from layer to layer."""
        shape = (self.tasks, m, self.layers)
        white = generator.standard_normal(shape)
        values = white.copy()
        for layer in range(1, self.layers):
            values[..., layer] = NEIGHBOURS * values[..., layer - 1] + math.sqrt(1 - NEIGHBOURS**2) * white[..., layer]
        if self.noise == "t3":  # one divisor for all layers of a model: a stray model strays in all of them
            values /= np.sqrt(generator.chisquare(3, size=(self.tasks, m, 1)))
        return values
