"""Predictions: how differently two models answer, from their logits (n, classes).

Divergences are sums of terms p f(d) >= 0 with d = log(q / p) and f(d) = e^d - 1 - d, since both sum p f(d) - sum p log(p / q)
and sum (q - p) are 0. Nothing cancels in them, so that a divergence of 1e-12 keeps its digits. The textbook's sum of
p log(p / q) adds terms of either sign and of the size of its square root.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.confidence import Interval, upper_level
from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.similarity.arrays import Array, require_paired
from repdrift.similarity.catalogue import register
from repdrift.similarity.invariances import ISOTROPIC_SCALING
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.delete_one import mean_reach, mean_without_one

_SMALL = 0.01
"""Below it the series of f errs by 5e-14 at most. Above it f is not so small beside the terms that it is a difference of."""

_FARTHEST = 4e300
"""Logits no further apart than this have divergences whose sum over samples stays inside float64."""

_PIECE = 1 << 22
"""Logits at a time: with a vocabulary of classes, ten copies of all of them would not fit."""


class PredictionMeasure(Measure):
    """A distance between two models' predictions of the same samples: x and y are logits (n, classes), 2 classes or more.

    All rows may be equal: a model that always says the same can be compared.
    """

    inputs: ClassVar[Literal["representations", "predictions"]] = "predictions"
    self_value = 0.0
    higher_is_similar = False
    same_width = True
    ignores_zero_features = False

    def prepare(self, x: Array | Representation) -> Any:
        """Do what depends on one model only. A `Representation` of logits should be made with `constant_allowed`.

        Raises DataError, ShapeError or NonFiniteError if `x` is not an array of (samples, classes).
        """
        return self.derive(x if isinstance(x, Representation) else Representation(x, constant_allowed=True))


@dataclass(frozen=True, eq=False)
class LogProbabilities:
    """Logarithms of softmax, in float64: (n, classes)."""

    table: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.table.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.table.device

    def permuted(self, order: Tensor) -> LogProbabilities:
        """Put the samples in another order."""
        return LogProbabilities(torch.index_select(self.table, 0, order))


class Divergence(PredictionMeasure):
    """Mean over samples of a divergence between the two softmax distributions of each."""

    cost = "n classes"
    invariances = frozenset()
    streaming = "needs logits, of both models side by side"

    def derive(self, representation: Representation) -> LogProbabilities:
        """Compute the logarithms of softmax."""
        return representation.shared(log_probabilities)

    def compare(self, x: LogProbabilities, y: LogProbabilities) -> float:
        """Mean over samples."""
        return float(self.by_sample(x, y).mean())

    @abstractmethod
    def by_sample(self, x: LogProbabilities, y: LogProbabilities) -> Tensor:
        """Compute the divergence of each sample: (n,)."""

    def without_one(self, x: LogProbabilities, y: LogProbabilities) -> NDArray[np.float64] | None:
        """Means without each sample in turn."""
        return mean_without_one(self.by_sample(x, y).cpu().numpy())

    def interval(self, x: LogProbabilities, y: LogProbabilities, confidence: float = 0.95) -> Interval | None:
        """Student's interval of the mean over samples. Raises ConfigError unless 0 < confidence < 1."""
        values = self.by_sample(x, y).cpu().numpy()
        centre, reach = float(values.mean()), mean_reach(values, confidence)
        return Interval(centre - reach, centre + reach)


@register
class KlDivergence(Divergence):
    """Mean over samples of KL(p_x || p_y) = sum p_x log(p_x / p_y), in nats; x is the base."""

    name = "kl_divergence"
    title = "KL divergence, base to tuned"
    description = "Mean of sum p log(p/q) over classes, p of the base and q of the tuned model, in nats; not symmetric."
    bounds = (0.0, math.inf)
    reference = "Kullback and Leibler 1951"
    symmetric = False

    def by_sample(self, x: LogProbabilities, y: LogProbabilities) -> Tensor:
        """KL(p_x || p_y) of each sample, in nats: (n,). Raises ShapeError if samples or classes differ."""
        return _by_pieces(_kl, x, y)


@register
class JensenShannon(Divergence):
    """Mean over samples of [KL(p || m) + KL(q || m)] / 2 with m = (p + q) / 2, in bits: symmetric and bounded.

    It is the divergence itself, not its square root, which is a metric: a mean of square roots would weigh tiny changes up.
    """

    name = "jensen_shannon"
    title = "Jensen-Shannon divergence"
    description = "Mean divergence of the softmax distributions from their middle, in bits; 1 = no class in common."
    bounds = (0.0, 1.0)
    reference = "Lin 1991, with equal weights"

    def by_sample(self, x: LogProbabilities, y: LogProbabilities) -> Tensor:
        """Divergence of each sample, in bits, 0 to 1: (n,). Raises ShapeError if samples or classes differ."""
        return _by_pieces(_jensen_shannon, x, y)


@dataclass(frozen=True, eq=False)
class TopClasses:
    """Classes that hold a sample's largest logit: (n, classes) of true and false, more than one true in a tie."""

    is_top: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.is_top.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.is_top.device

    def permuted(self, order: Tensor) -> TopClasses:
        """Put the samples in another order."""
        return TopClasses(torch.index_select(self.is_top, 0, order))


@register
class Disagreement(PredictionMeasure):
    """Share of samples whose largest logit lies at another class.

    Where classes tie for the largest logit of a sample, as they do in 16 bits, the prediction is the set of them: two models
    agree if their sets are equal. So the order of classes plays no part, and a model agrees with itself.
    """

    name = "disagreement"
    title = "disagreement of classes"
    description = (
        "Share of samples for which the two models predict different classes; a tie counts as its own prediction."
    )
    bounds = (0.0, 1.0)
    reference = "Madani et al. 2004; interval: Wilson 1927"
    invariances = frozenset({ISOTROPIC_SCALING})
    cost = "n classes"
    streaming = "needs logits, of which sums keep no largest one"

    def derive(self, representation: Representation) -> TopClasses:
        """Find the predicted class of each sample."""
        return representation.shared(top_classes)

    def compare(self, x: TopClasses, y: TopClasses) -> float:
        """Share of samples with different predictions."""
        return int(_differ(x, y).sum()) / x.n

    def without_one(self, x: TopClasses, y: TopClasses) -> NDArray[np.float64] | None:
        """Shares without each sample in turn."""
        return mean_without_one(_differ(x, y).cpu().numpy().astype(np.float64))

    def interval(self, x: TopClasses, y: TopClasses, confidence: float = 0.95) -> Interval | None:
        """Wilson's interval of a share. Raises ConfigError unless 0 < confidence < 1."""
        upper_level(confidence)  # for its check of the confidence
        n, hits = x.n, int(_differ(x, y).sum())
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        return Interval(_lowest_share(hits, n, z), 1 - _lowest_share(n - hits, n, z))


def _differ(x: TopClasses, y: TopClasses) -> Tensor:
    """True for each sample whose predictions differ: (n,). Raises ShapeError if samples or classes differ."""
    _require_same_classes(x.is_top, y.is_top)
    return (x.is_top != y.is_top).any(dim=1)


def _lowest_share(hits: int, n: int, z: float) -> float:
    """Lower end for `hits` of n at z standard errors; exactly 0 for none. The upper end is that of the misses."""
    return (2 * hits + z * z - z * math.sqrt(z * z + 4 * hits * (1 - hits / n))) / (2 * (n + z * z))


def log_probabilities(representation: Representation) -> LogProbabilities:
    """Logarithms of the softmax of logits. Shared.

    Raises ShapeError if there is a single class; NonFiniteError, naming the sample, if logits are too far apart for float64.
    """
    _require_classes(representation)
    table = torch.log_softmax(representation.exact, dim=1)
    if not bool(table.min() >= -_FARTHEST):
        row = int((~(table >= -_FARTHEST)).any(dim=1).nonzero()[0])
        raise NonFiniteError(f"sample {row}: its logits are too far apart for float64")
    return LogProbabilities(table)


def top_classes(representation: Representation) -> TopClasses:
    """Classes of the largest logit of each sample. Shared. Raises ShapeError if there is a single class."""
    _require_classes(representation)
    return TopClasses(representation.given == representation.given.amax(dim=1, keepdim=True))


def _require_same_classes(x: Tensor, y: Tensor) -> None:
    """Raises ShapeError unless both tables have the same samples and classes."""
    require_paired(x.shape[0], y.shape[0])
    if x.shape[1] != y.shape[1]:
        raise ShapeError(f"predictions need the same classes on both sides, got {x.shape[1]} and {y.shape[1]}")


def _require_classes(representation: Representation) -> None:
    if representation.p < 2:
        raise ShapeError("predictions need logits of at least 2 classes, got 1: there is nothing to choose between")


def _by_pieces(
    divergence: Callable[[Tensor, Tensor], Tensor], x: LogProbabilities, y: LogProbabilities
) -> Tensor:  # fmt: skip
    _require_same_classes(x.table, y.table)
    rows = max(1, _PIECE // x.table.shape[1])
    pieces = zip(x.table.split(rows), y.table.split(rows), strict=True)
    return torch.cat([divergence(a, b) for a, b in pieces])


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return _excess(log_p.exp(), log_q.exp(), log_q - log_p).sum(dim=1)


def _jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Half of KL(p || m) + KL(q || m) with m = (p + q) / 2; the larger and the smaller of p and q, class by class."""
    gap = (log_q - log_p).abs()
    larger, smaller = torch.maximum(log_p, log_q).exp(), torch.minimum(log_p, log_q).exp()
    middle = (larger + smaller) / 2
    down = torch.log1p(torch.expm1(-gap) / 2)  # log(middle / larger), between -log 2 and 0
    terms = _excess(larger, middle, down) + _excess(smaller, middle, down + gap)
    return terms.sum(dim=1) / (2 * math.log(2))


def _excess(p: Tensor, q: Tensor, d: Tensor) -> Tensor:
    """p (e^d - 1 - d) where q = p e^d, elementwise: never below 0, and accurate for every size of d."""
    near = d.abs() < _SMALL
    s = torch.where(near, d, 0.0)
    series = 1 / 2 + s * (1 / 6 + s * (1 / 24 + s * (1 / 120 + s / 720)))
    return torch.where(near, p * s.square() * series, (q - p) - p * d)
