"""Predictions: logits (n, classes), the distributions that they stand for, and how far apart those are.

Divergences are sums of terms p f(d) >= 0 with d = log(q / p) and f(d) = e^d - 1 - d, since both sum p f(d) - sum p log(p / q)
and sum (q - p) are 0. Nothing cancels in them, so that a divergence of 1e-12 keeps its digits; the textbook's sum of
p log(p / q) adds terms of either sign and of the size of its square root.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.similarity.inputs import Array, require_paired
from repdrift.similarity.measure import Interval, Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.sample_intervals import mean_reach, mean_without_one

_SMALL = 0.01
"""Below it the series of f errs by 5e-14 at most; above it f is not so small beside what it is the difference of."""

_FARTHEST = 4e300
"""Logits no further apart than this have divergences whose sum over samples stays inside float64."""

_PIECE = 1 << 22
"""Logits at a time, so that a vocabulary of classes needs no ten copies of all of them."""


class PredictionMeasure(Measure):
    """A distance between two models' predictions of the same samples: x and y are logits (n, classes), 2 classes or more.

    Rows may all be equal: a model that always says the same is one that can be compared.
    """

    inputs: ClassVar[Literal["representations", "predictions"]] = "predictions"
    self_value = 0.0
    higher_is_similar = False
    same_width = True
    ignores_zero_features = False

    def prepare(self, x: Array | Representation) -> Any:
        """What depends on one side only. Raises DataError, ShapeError, NonFiniteError.

        A `Representation` of logits that may all be equal is made with `constant_allowed`.
        """
        return self.derive(x if isinstance(x, Representation) else Representation(x, constant_allowed=True))


class Divergence(PredictionMeasure):
    """A mean over samples of a divergence between the two softmax distributions of each."""

    def derive(self, representation: Representation) -> LogProbabilities:
        """Logarithms of softmax."""
        return representation.shared(log_probabilities)

    def compare(self, x: LogProbabilities, y: LogProbabilities) -> float:
        """Mean over samples."""
        return float(self.by_sample(x, y).mean())

    @abstractmethod
    def by_sample(self, x: LogProbabilities, y: LogProbabilities) -> Tensor:
        """The divergence of each sample: (n,)."""

    def without_one(self, x: LogProbabilities, y: LogProbabilities) -> NDArray[np.float64] | None:
        """Means of one sample less."""
        return mean_without_one(self.by_sample(x, y).cpu().numpy())

    def interval(self, x: LogProbabilities, y: LogProbabilities, confidence: float = 0.95) -> Interval | None:
        """Student's interval of the mean over samples. Raises ConfigError unless 0 < confidence < 1."""
        values = self.by_sample(x, y).cpu().numpy()
        centre, reach = float(values.mean()), mean_reach(values, confidence)
        return Interval(centre - reach, centre + reach)


@dataclass(frozen=True, eq=False)
class LogProbabilities:
    """Logarithms of softmax, in float64: (n, classes)."""

    table: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.table.shape[0])

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.table.device

    def permuted(self, order: Tensor) -> LogProbabilities:
        """The same with the samples in another order."""
        return LogProbabilities(torch.index_select(self.table, 0, order))


@dataclass(frozen=True, eq=False)
class TopClasses:
    """Which classes hold a sample's largest logit: (n, classes) of true and false, more than one of them in a tie."""

    is_top: Tensor

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.is_top.shape[0])

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.is_top.device

    def permuted(self, order: Tensor) -> TopClasses:
        """The same with the samples in another order."""
        return TopClasses(torch.index_select(self.is_top, 0, order))


def log_probabilities(representation: Representation) -> LogProbabilities:
    """Logarithms of the softmax of logits, shared.

    Raises ShapeError for a single class; NonFiniteError naming a sample whose logits are too far apart for float64.
    """
    _require_classes(representation)
    table = torch.log_softmax(representation.exact, dim=1)
    if not bool(table.min() >= -_FARTHEST):
        row = int((~(table >= -_FARTHEST)).any(dim=1).nonzero()[0])
        raise NonFiniteError(f"sample {row}: its logits are too far apart for float64")
    return LogProbabilities(table)


def top_classes(representation: Representation) -> TopClasses:
    """The classes of the largest logit of each sample, shared. Raises ShapeError for a single class."""
    _require_classes(representation)
    return TopClasses(representation.given == representation.given.amax(dim=1, keepdim=True))


def kl_divergences(x: LogProbabilities, y: LogProbabilities) -> Tensor:
    """KL(p_x || p_y) of each sample, in nats: (n,). Raises ShapeError unless both sides have the same samples and classes."""
    return _by_pieces(_kl, x, y)


def jensen_shannon_divergences(x: LogProbabilities, y: LogProbabilities) -> Tensor:
    """Jensen-Shannon divergence of each sample, in bits, 0 to 1: (n,). Raises ShapeError as `kl_divergences`."""
    return _by_pieces(_jensen_shannon, x, y)


def require_same_classes(x: Tensor, y: Tensor) -> None:
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
    require_same_classes(x.table, y.table)
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
