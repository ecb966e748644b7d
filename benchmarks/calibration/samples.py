"""Populations of samples whose drifts are known in closed form, and samples drawn from them.

The base representation of a sample is X = s sqrt(l) z, feature by feature: l is a falling spectrum, z has variance 1, and s
is the sample's size. A tuned one is Y = (1 + c g) X + c s h sqrt(k) u. The first term stretches each feature and is linear in
X; the second is each sample's own change: h is its size, and the methods share half of u. With E s^2 = E h^2 = 1 all
covariances are diagonal and known, and so is CKA. Diagonal covariances lose no generality: CKA does not change if one side is
rotated, and a cosine does not change if both sides are rotated alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]
Tails = Literal["normal", "lognormal", "t3", "outlier"]
TAIL_WORDS: dict[Tails, str] = {
    "normal": "normal",
    "lognormal": "sizes of samples and changes log-normal (sd 0.5)",
    "t3": "multivariate t, 3 df",
    "outlier": "one feature with 80 % of the variance, log-normal",
}

SHARED = 0.5
"""The share of the variance of a sample's own change that the methods have in common."""
LAYERS_SHARED = 0.7
"""The share of the variance of z that all layers have in common."""
LOG_SD = 0.5
OUTLIER_SHARE = 0.8


@dataclass(frozen=True)
class Population:
    """Base and tuned representations at one or more layers.

    drifts: of debiased CKA, of each method, in the population; every layer has the same. features: p.
    """

    tails: Tails = "normal"
    drifts: tuple[float, ...] = (0.3, 0.24)
    layers: int = 1
    features: int = 128

    @cached_property
    def _spectra(self) -> tuple[Floats, Floats]:
        """Returns the variances of the features and of the samples' own changes; each sums to 1."""
        rank = np.arange(1, self.features + 1, dtype=np.float64)
        base, change = 1 / rank, 1 / np.sqrt(rank)
        if self.tails == "outlier":
            for spectrum in (base, change):
                spectrum[0] = OUTLIER_SHARE / (1 - OUTLIER_SHARE) * spectrum[1:].sum()
        return base / base.sum(), change / change.sum()

    @cached_property
    def _stretch(self) -> Floats:
        """Returns the variances as (layers, features)."""
        stretch = 0.3 * np.random.default_rng(0).standard_normal((self.layers, self.features))
        stretch[:, 0] = 0.0
        return stretch

    @cached_property
    def _sizes(self) -> Floats:
        """Returns c of every layer and method: (layers, methods)."""
        found = np.zeros((self.layers, len(self.drifts)))
        for layer in range(self.layers):
            for method, drift in enumerate(self.drifts):
                root = brentq(lambda c, g=layer, d=drift: self._drift(c, g) - d, 0.0, 50.0)
                found[layer, method] = cast(float, root)
        return found

    def _drift(self, size: float, layer: int) -> float:
        """The drift in the population, 1 - ||Sxy||_F^2 / (||Sxx||_F ||Syy||_F); all three matrices are diagonal."""
        base, change = self._spectra
        stretch = 1 + size * self._stretch[layer]
        tuned = base * stretch**2 + size**2 * change
        return float(1 - ((base * stretch) ** 2).sum() / math.sqrt((base**2).sum() * (tuned**2).sum()))

    def draw(
        self,
        n: int,
        generator: np.random.Generator,
        *,
        offset: float = 0.0,
        groups: NDArray[np.int64] | None = None,
        icc: float = 0.0,
    ) -> list[list[Floats]]:
        """Draw the base representation and one of each method for every layer: (n, p), about a mean vector of length `offset`.

        groups: (n,) numbers of the samples' groups, from 0; icc: the share of the variance of z and u that the samples of a group have in
        common. The law of a single sample, and so the drift in the population, is the same whatever they are.
        """
        base, change = (np.sqrt(spectrum) for spectrum in self._spectra)
        size, own_size = self._sample_sizes(n, generator)
        noise = partial(_grouped_noise, (n, self.features), generator, groups, icc)
        common = noise()
        mean = np.full(self.features, offset / math.sqrt(self.features))
        found: list[list[Floats]] = []
        for layer in range(self.layers):
            z = common
            if self.layers > 1:
                own = noise()
                z = math.sqrt(LAYERS_SHARED) * common + math.sqrt(1 - LAYERS_SHARED) * own
            if self.tails == "outlier":
                z = np.column_stack([_standard_lognormal(n, generator), z[:, 1:]])
            x = size[:, None] * z * base
            shared = noise()
            sides = [x + mean]
            for c in self._sizes[layer]:
                own = math.sqrt(SHARED) * shared + math.sqrt(1 - SHARED) * noise()
                sides.append(x * (1 + c * self._stretch[layer]) + c * own_size[:, None] * own * change + mean)
            found.append(sides)
        return found

    def _sample_sizes(self, n: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw s and s h."""
        ones = np.ones(n)
        if self.tails == "t3":
            size = 1 / np.sqrt(generator.chisquare(3, size=n))  # E 1 / chi^2(3) = 1
            return size, size
        if self.tails == "lognormal":
            size, own = np.exp(LOG_SD * generator.standard_normal((2, n)) - LOG_SD**2)
            return size, size * own
        return ones, ones


def _grouped_noise(
    shape: tuple[int, int], generator: np.random.Generator, groups: NDArray[np.int64] | None, icc: float
) -> Floats:
    """Draw standard normal numbers (n, p); those of one group share `icc` of their variance."""
    own = generator.standard_normal(shape)
    if groups is None:
        return own
    of_groups = generator.standard_normal((int(groups.max()) + 1, shape[1]))
    return math.sqrt(icc) * of_groups[groups] + math.sqrt(1 - icc) * own


def _standard_lognormal(n: int, generator: np.random.Generator) -> Floats:
    """Draw numbers with mean 0, variance 1, skew 1.75."""
    values = np.exp(LOG_SD * generator.standard_normal(n))
    return (values - math.exp(LOG_SD**2 / 2)) / math.sqrt((math.exp(LOG_SD**2) - 1) * math.exp(LOG_SD**2))
