"""Tests of many layers at once, with one family-wise error for all of them: max-T and clusters.

Layers of one model move together. Holm's correction does not know that and asks for more evidence than is needed; with
three seeds it asks for more than there are arrangements: 24 layers x 1/20 is above 1. The maximum over layers under
rearranged labels controls the error of the whole family, and its least p is that of a single test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ConfigError
from repdrift.statistics.arrangements import TABLE_LIMIT, Floats, Visited
from repdrift.statistics.column_differences import column_differences
from repdrift.statistics.multiplicity import max_t_hits
from repdrift.statistics.permutation import Alternative, as_evidence, require_alternative

CLUSTER_THRESHOLDS: dict[Alternative, float] = {"less": 1.645, "greater": 1.645, "two-sided": 1.96}
"""The default thresholds at which a layer joins a cluster: normal quantiles of a one-sided, or a two-sided, 0.05."""


@dataclass(frozen=True)
class MaxTResult:
    """The outcome of a max-T test over layers; arrays are (L,).

    difference: what is tested, such as the mean over strata of mean(a) - mean(b). standardised: the difference in
    standard deviations over all arrangements; None if not asked for. pvalue: each layer by itself, without correction.
    single_step, step_down: adjusted p. Both control the chance of any false rejection; step_down is never the larger.
    smallest_pvalue: the least that any of the three can be in this design, whatever the data. n_permutations:
    arrangements visited (all of them if `exact`). n_units: rows in the test.
    """

    difference: Floats
    standardised: Floats | None
    pvalue: Floats
    single_step: Floats
    step_down: Floats
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


@dataclass(frozen=True)
class LayerCluster:
    """The adjacent layers start, ..., stop - 1 (columns, from 0). mass: the sum of their standardised differences."""

    start: int
    stop: int
    mass: float
    pvalue: float


@dataclass(frozen=True)
class ClusterResult:
    """The outcome of a cluster permutation test over layers.

    clusters: in order of depth; none if no layer reaches the threshold. standardised: (L,), differences in standard
    deviations over all arrangements. threshold: in the same unit. smallest_pvalue: the least p that a cluster can have
    in this design, whatever the data. n_permutations: arrangements visited (all of them if `exact`). n_units: rows.
    """

    clusters: tuple[LayerCluster, ...]
    standardised: Floats
    threshold: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


def max_t_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "less",
    standardise: bool = True,
    n_permutations: int = TABLE_LIMIT,
    seed: int = 0,
) -> MaxTResult:
    """Test in which layers `a` tends to be less than `b` (greater, different), by the maximum over layers.

    a: (m, L), b: (k, L), one row per trained model. strata: a label for each row of a, then of b; None: one stratum.
    The test visits all arrangements of the labels if there are at most `n_permutations`, else as many random ones (at
    most 100,000), with p = (1 + hits) / (1 + draws). `standardise` gives every layer the same say; without it the
    layers that vary most decide the maximum, and the others are rarely found.

    Differences are not divided by the spread within the two groups of each arrangement, which is sometimes nearly zero
    with three seeds. They are divided by the spread over all arrangements, one number for a layer whatever the labels.
    In one stratum nothing is lost: Student's t is a rising function of that ratio, the same for all layers, and gives
    the same p-values.

    The test is exact if labels are exchangeable in all layers at once, whatever their correlation. If some layers
    differ, it is exact for the others. A layer that does not vary has p = 1. Unequal numbers of models are not
    studentised here, as they are in `label_permutation_test`: `pvalue` differs from its p, and three models of thrice
    the spread against ten reject a true null of one layer in 15 % of studies at alpha 0.05.
    Raises ShapeError unless the tables have the same layers and each stratum has rows of both, NonFiniteError for NaN
    or Inf, ConfigError if n_permutations < 1, UnknownNameError.
    Source: Westfall and Young 1993, algorithm 4.1. Departure: the spread that differences are divided by.
    """
    require_alternative(alternative)
    table = column_differences(a, b, strata=strata, standardise=standardise, n_permutations=n_permutations, seed=seed)
    return max_t_result(
        table.blocks(alternative),
        as_evidence(table.statistic, alternative),
        table.slack,
        visits=table.visits,
        difference=table.difference,
        standardised=table.statistic if standardise else None,
        smallest_pvalue=table.smallest_pvalue(alternative),
        n_units=table.n_units,
    )


def max_t_result(
    blocks: Iterable[Floats],
    observed: Floats,
    slack: Floats,
    *,
    visits: Visited,
    difference: Floats,
    standardised: Floats | None,
    smallest_pvalue: float,
    n_units: int,
) -> MaxTResult:
    """Put a max-T test together from its statistics; blocks, observed and slack as `max_t_hits` takes them."""
    hits = max_t_hits(blocks, observed, slack)
    return MaxTResult(
        difference=difference,
        standardised=standardised,
        pvalue=visits.pvalues(hits.alone),
        single_step=visits.pvalues(hits.single_step),
        step_down=visits.pvalues(hits.step_down),
        smallest_pvalue=smallest_pvalue,
        exact=visits.exact,
        n_permutations=visits.count,
        n_units=n_units,
    )


def cluster_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    strata: Sequence[object] | None = None,
    alternative: Alternative = "less",
    threshold: float | None = None,
    n_permutations: int = TABLE_LIMIT,
    seed: int = 0,
) -> ClusterResult:
    """Test which runs of adjacent layers differ, by the largest cluster mass under permuted labels.

    a: (m, L), b: (k, L), one row per trained model, columns in order of depth; strata, alternative, n_permutations and
    standardised differences as in `max_t_test`. Layers at or beyond `threshold` standard deviations (1.645, two-sided
    1.96) form clusters with their neighbours; a two-sided test does so for each sign by itself. A cluster's p is the
    share of arrangements whose largest mass is at least its own. Choose the threshold before the data are seen. A small
    p says that the methods differ, and most visibly there. It does not say that every layer of the cluster differs, nor
    where the cluster begins. For claims about single layers use `max_t_test`.
    Raises ConfigError for a threshold that is not above 0 or that no data of this design can reach (3 against 3 in one
    stratum reach 2.24), and whatever `max_t_test` raises. Source: Maris and Oostenveld 2007. Departure: the spread that
    differences are divided by.
    """
    require_alternative(alternative)
    table = column_differences(a, b, strata=strata, standardise=True, n_permutations=n_permutations, seed=seed)
    needed = CLUSTER_THRESHOLDS[alternative] if threshold is None else threshold
    if not 0 < needed <= table.bound:
        raise ConfigError(
            f"a cluster threshold should lie above 0 and within what this design can reach, {table.bound:.4g} standard "
            f"deviations; got {needed}"
        )
    slack = float(table.slack.max())
    signs = {"less": (-1.0,), "greater": (1.0,), "two-sided": (1.0, -1.0)}[alternative]
    found = [
        (start, stop, sign * float(table.statistic[start:stop].sum()), sign)
        for sign in signs
        for start, stop in _runs(sign * table.statistic >= needed - slack)
    ]
    found.sort()
    least = np.array([mass for _, _, mass, _ in found]) - slack * table.statistic.size
    hits = np.zeros(len(found), dtype=np.int64)
    for block in table.blocks("greater") if found else ():
        largest = np.max([_largest_mass(sign * block, needed - slack) for sign in signs], axis=0)
        hits += (largest[:, None] >= least).sum(axis=0)
    return ClusterResult(
        clusters=tuple(
            LayerCluster(start, stop, sign * mass, float(pvalue))
            for (start, stop, mass, sign), pvalue in zip(found, table.visits.pvalues(hits), strict=True)
        ),
        standardised=table.statistic,
        threshold=needed,
        smallest_pvalue=table.smallest_pvalue(alternative),
        exact=table.visits.exact,
        n_permutations=table.visits.count,
        n_units=table.n_units,
    )


def _runs(beyond: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns (start, stop) of every run of True in (L,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], beyond, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _largest_mass(statistics: Floats, threshold: float) -> Floats:
    """The largest sum over a run of layers at or above the threshold, (arrangements,); 0 if there is none."""
    running, largest = np.zeros(len(statistics)), np.zeros(len(statistics))
    for layer in statistics.T:
        running = np.where(layer >= threshold, running + layer, 0.0)
        largest = np.maximum(largest, running)
    return largest
