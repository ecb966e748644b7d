"""The cells of the table: a simulated truth and design, the result, and whether it meets the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["rejection", "coverage", "coverage, one-sided"]
Verdict = Literal["met", "cautious", "none", "as stated", "FAILED"]

TARGETS: dict[Kind, tuple[float, float]] = {
    "rejection": (0.0, 0.05),
    "coverage": (0.93, 0.97),
    "coverage, one-sided": (0.95, 1.0),
}
"""The shares between which a test at 0.05, or an interval at 95 %, should lie."""

ERRORS_BEYOND = 2
"""The Monte Carlo standard errors by which a share may lie beyond its target."""


@dataclass(frozen=True)
class Limit:
    """The error that a function states for itself if the truth breaks its assumption, and the assumption."""

    share: float
    """The largest rejection, or the least coverage, that is stated."""
    assumption: str


@dataclass(frozen=True)
class Cell:
    """The share of simulated studies of one truth and design that rejected, or whose interval covered.

    simulations: studies drawn; given: the studies that had a test or interval; `share` is their share.
    exact_level: the largest share at or below 0.05 that the arrangements of the design allow, None for other methods.
    tails: shares of intervals that lie wholly (above, below) the truth.
    """

    level: str
    what: str
    truth: str
    design: str
    kind: Kind
    share: float
    simulations: int
    given: int
    exact_level: float | None = None
    tails: tuple[float, float] | None = None
    limit: Limit | None = None

    @property
    def target(self) -> tuple[float, float]:
        """The shares between which this one should lie."""
        return TARGETS[self.kind]

    @property
    def error(self) -> float:
        """The Monte Carlo standard error of the share. It stays above zero if all studies rejected, or none."""
        softened = (self.share * self.given + 1) / (self.given + 2)
        return math.sqrt(softened * (1 - softened) / max(1, self.given))

    @property
    def verdict(self) -> Verdict:
        """The judgement of the cell: `met` if its share lies within the target.

        `none`: the design allows no test or interval, or the function gives none, with the reason.
        `cautious`: a two-sided interval covers more than 97 %. It is wider than needed, but makes no false claim.
        `as stated`: outside the target where an assumption does not hold, and no farther than the function says.
        """
        low, high = self.target
        if self.given == 0:
            return "none"
        if self._between(low, high):
            return "met"
        if self.kind == "coverage" and self.share > high:
            return "cautious"
        if self.limit is not None:
            stated = (0.0, self.limit.share) if self.kind == "rejection" else (self.limit.share, 1.0)
            if self._between(*stated):
                return "as stated"
        return "FAILED"

    def _between(self, low: float, high: float) -> bool:
        return low - self._room(low) <= self.share <= high + self._room(high)

    def _room(self, bound: float) -> float:
        """The distance beyond a bound that noise explains, if the bound is the truth."""
        return ERRORS_BEYOND * math.sqrt(bound * (1 - bound) / max(1, self.given))


class Coverage(NamedTuple):
    """The share of intervals that hold the truth, the number of intervals, and the shares that lie (above, below) it."""

    share: float
    given: int
    tails: tuple[float, float]


def rejections(pvalues: list[float | None], alpha: float = 0.05) -> tuple[float, int]:
    """Returns the share of p at or below alpha among those that are not None, and the number of these."""
    there = [p for p in pvalues if p is not None]
    return (sum(p <= alpha * (1 + 1e-9) for p in there) / len(there) if there else math.nan), len(there)


def coverage(intervals: Sequence[tuple[float, float] | None], truth: float) -> Coverage:
    """Count the intervals that hold the truth; None stands for a study without an interval."""
    there = [i for i in intervals if i is not None]
    if not there:
        return Coverage(math.nan, 0, (math.nan, math.nan))
    above = sum(low > truth for low, _ in there) / len(there)
    below = sum(high < truth for _, high in there) / len(there)
    return Coverage(1 - above - below, len(there), (above, below))
