"""Corrections for many tests at once: Holm, also over families; Benjamini and Hochberg; the maximum over rearranged data (max-T)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from repdrift.core.errors import ShapeError
from repdrift.statistics.arrangements import Floats

Counts = NDArray[np.int64]


def holm(pvalues: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values, (m,): they control the chance of any false rejection.

    Raises ShapeError for an empty list, or a value outside [0, 1] such as NaN. Source: Holm 1979.
    """
    # Not statsmodels' multipletests: it collects garbage at every call, which takes longer than the test itself.
    p = _checked(pvalues)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((p.size - np.arange(p.size)) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def holm_over_families(adjusted: Sequence[ArrayLike]) -> list[Floats]:
    """Adjusted p-values that control the chance of any false rejection over all families together, one array for each family.

    adjusted: for each of K families an array of p-values, (tests,), each adjusted within its family so that any level
    controls the chance of a false rejection in it (max-T or Holm). Nothing is assumed of how the families depend on each
    other. A family is first tested at level / K; each family whose tests are all rejected passes its share on to the
    others, as a rejected test does in Holm's procedure. (A family that is rejected in part may not: a true null can be
    left in it.) With one test in each family these are Holm's p-values, and with one family they are `adjusted`.
    Raises ShapeError for no family, or as `holm` does. Source: Holm 1979; Bretz et al. 2009, for shares that are passed on.
    """
    if not adjusted:
        raise ShapeError("there should be at least one family of p-values, got none")
    families = [_checked(family) for family in adjusted]
    order = sorted(range(len(families)), key=lambda family: float(families[family].max()))
    found: list[Floats] = [np.ones_like(family) for family in families]
    freed = 0.0  # the level at which all earlier families are wholly rejected
    steps: list[tuple[float, int]] = []
    for position, family in enumerate(order):
        share = len(families) - position
        steps.append((freed, share))
        by_step = [np.maximum(before, at * families[family]) for before, at in steps]
        found[family] = np.minimum(np.min(by_step, axis=0), 1.0)
        freed = max(freed, share * float(families[family].max()))
    return found


def benjamini_hochberg(pvalues: ArrayLike) -> Floats:
    """Benjamini and Hochberg's adjusted p-values, (m,): they control the expected share of false rejections.

    Valid under independence or positive dependence. Raises ShapeError for an empty list, or a value outside [0, 1] such
    as NaN. Source: Benjamini and Hochberg 1995.
    """
    return np.asarray(false_discovery_control(_checked(pvalues), method="bh"), dtype=np.float64)


@dataclass(frozen=True)
class MaxTHits:
    """Numbers of arrangements at least as extreme as the observed statistics; each (L,).

    alone: layer by layer. single_step: by the maximum over all layers. step_down: by the maximum over the layers that
    are not more extreme; never above `single_step`. The shares of the last two are adjusted p-values.
    """

    alone: Counts
    single_step: Counts
    step_down: Counts


def max_t_hits(blocks: Iterable[Floats], observed: Floats, slack: Floats) -> MaxTHits:
    """Count the arrangements whose statistics reach the observed ones: one family-wise error for many layers.

    blocks: (some arrangements, L) statistics; a larger one is more evidence. observed: (L,). slack: (L,), how far two
    statistics may lie apart and still tie. Source: Westfall and Young 1993, algorithm 4.1.
    """
    order = np.argsort(-observed, kind="stable")
    least = observed - slack.max()
    alone, single, stepped = (np.zeros(observed.size, dtype=np.int64) for _ in range(3))
    for block in blocks:
        alone += (block >= observed - slack).sum(axis=0)
        # Column j of `largest` is the maximum over the layers that are not more extreme than the j-th most extreme.
        largest = np.maximum.accumulate(block[:, order[::-1]], axis=1)[:, ::-1]
        single += (largest[:, :1] >= least).sum(axis=0)
        stepped[order] += (largest >= least[order]).sum(axis=0)
    stepped[order] = np.maximum.accumulate(stepped[order])
    return MaxTHits(alone, single, stepped)


def _checked(pvalues: ArrayLike) -> Floats:
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or p.size == 0:
        raise ShapeError(f"p-values should be a list of at least one, got shape {p.shape}")
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ShapeError(
            "p-values should lie in [0, 1]; a test that was not possible must be left out, not given as NaN"
        )
    return p
