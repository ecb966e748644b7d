"""Tests whether the base model is farther from the trained models than they are from one another.

Three seeds of one method lie at some distance from one another, whatever they have in common. Training has moved them
all in one direction, farther than seeds scatter, only if the base model is the odd one out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics.arrangements import TABLE_LIMIT, Floats, Visited, visited
from repdrift.statistics.layer_tests import MaxTResult, max_t_result

_TIE = 1e-12
_CONSTANT = 1e-9
_ASYMMETRY = 1e-6
_BLOCK = 4_000_000


@dataclass(frozen=True)
class BaseDistanceResult:
    """The outcome of a base distance test.

    statistic: the mean over strata of (mean distance of the base model to the trained ones - mean distance among those).
    smallest_pvalue: the least p that this design can give, whatever the data. n_permutations: arrangements visited (all
    of them if `exact`). n_units: trained models in the test.
    """

    statistic: float
    pvalue: float
    smallest_pvalue: float
    exact: bool
    n_permutations: int
    n_units: int


def base_distance_test(
    distances: Sequence[ArrayLike], *, n_permutations: int = TABLE_LIMIT, seed: int = 0
) -> BaseDistanceResult:
    """Test whether the base model is farther from the trained models than they are from one another.

    distances: for every stratum (task, or task and method) the symmetric (m + 1, m + 1) matrix of drifts between the
    base model (row 0) and m >= 2 trained models; the diagonal plays no part. Each model of a stratum in turn takes the
    role of the base, which gives prod(m + 1) arrangements over strata. The test visits all of them if they are at most
    `n_permutations`, else as many random ones (at most 100,000), with p = (1 + hits) / (1 + draws). The least p is
    1 / prod(m + 1): one stratum of 3 seeds gives 1/4, two give 1/16, three give 1/64. The test is exact if base and
    trained models are exchangeable in each stratum: under the null the base is like one more seed. If strata share one
    base model, they are independent draws of it only if what makes it the odd one out is independent from task to task
    (as the samples are).
    Raises ShapeError for no stratum, m < 2 (there is no distance among the others), or a matrix that is not square and
    symmetric; NonFiniteError; ConfigError if n_permutations < 1.
    Source: Anderson 2001, a label permutation of distances, here with a group of one.
    """
    found = base_distance_layers(
        [np.asarray(matrix, dtype=np.float64)[None] for matrix in distances],
        standardise=False,
        n_permutations=n_permutations,
        seed=seed,
    )
    return BaseDistanceResult(
        statistic=float(found.difference[0]),
        pvalue=float(found.pvalue[0]),
        smallest_pvalue=found.smallest_pvalue,
        exact=found.exact,
        n_permutations=found.n_permutations,
        n_units=found.n_units,
    )


def base_distance_layers(
    distances: Sequence[ArrayLike], *, standardise: bool = True, n_permutations: int = TABLE_LIMIT, seed: int = 0
) -> MaxTResult:
    """Run `base_distance_test` in every layer, with the family-wise error of `max_t_test`.

    distances: for every stratum (L, m + 1, m + 1). The model in the role of the base is the same in all layers, which
    keeps their correlation. `standardise` divides differences by their standard deviation over all arrangements, so
    that every layer has the same say; a layer that does not vary has p = 1. Raises what `base_distance_test` raises,
    and ShapeError unless all strata have the same layers.
    """
    if not len(distances):
        raise ShapeError("distances should hold the matrix of at least one stratum, got none")
    tables = [_checked(values, index) for index, values in enumerate(distances)]
    if len({table.shape[0] for table in tables}) > 1:
        raise ShapeError(f"every stratum should have the same layers; got {[table.shape[0] for table in tables]}")
    roles = [_excess_by_role(table) / len(tables) for table in tables]
    statistic = np.sum([role[0] for role in roles], axis=0)
    scale = np.max([np.abs(table).max(axis=(1, 2)) for table in tables], axis=0)
    slack = _TIE * scale
    difference = statistic
    if standardise:
        spread = np.sqrt(np.sum([role.var(axis=0) for role in roles], axis=0))
        varies = spread > _CONSTANT * scale
        roles = [np.where(varies, role / np.where(varies, spread, 1.0), 0.0) for role in roles]
        slack = np.where(varies, slack / np.where(varies, spread, 1.0), 0.0)
        statistic = np.sum([role[0] for role in roles], axis=0)
    counts = [role.shape[0] for role in roles]
    visits = visited(math.prod(counts), n_permutations)
    return max_t_result(
        _blocks(roles, visits, seed),
        statistic,
        slack,
        visits=visits,
        difference=difference,
        standardised=statistic if standardise else None,
        smallest_pvalue=visits.smallest_pvalue(1 / math.prod(counts)),
        n_units=sum(counts) - len(counts),
    )


def _blocks(roles: list[Floats], visits: Visited, seed: int) -> Iterator[Floats]:
    """The statistics of all arrangements, (some, L) at a time. `roles`: what each model adds in the role of the base."""
    counts = [role.shape[0] for role in roles]
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // roles[0].shape[1])
    for start in range(0, visits.count, step):
        size = min(step, visits.count - start)
        if visits.exact:
            bases = np.unravel_index(np.arange(start, start + size), counts)
        else:
            bases = tuple(generator.integers(0, count, size=size) for count in counts)
        yield np.sum([role[base] for role, base in zip(roles, bases, strict=True)], axis=0)


def _excess_by_role(table: Floats) -> Floats:
    """The mean distance of each model to the others, minus the mean distance among those: (m + 1, L)."""
    m = table.shape[1] - 1
    to_others = table.sum(axis=2)
    among_all = to_others.sum(axis=1, keepdims=True) / 2
    return (to_others / m - (among_all - to_others) / (m * (m - 1) / 2)).T


def _checked(values: ArrayLike, index: int) -> Floats:
    """Returns the distances of a stratum, (L, m + 1, m + 1), with zeros on the diagonal."""
    table = np.array(values, dtype=np.float64)
    if table.ndim != 3 or table.shape[1] != table.shape[2] or table.size == 0:
        raise ShapeError(f"distances[{index}] should be square, base model and trained models; got {table.shape[1:]}")
    if table.shape[1] < 3:
        raise ShapeError(
            f"distances[{index}] has {table.shape[1] - 1} trained model(s): there is no distance among the others; "
            "a stratum needs two, leave this one out by name"
        )
    table[:, np.arange(table.shape[1]), np.arange(table.shape[1])] = 0.0
    if not np.isfinite(table).all():
        bad = [int(i) for i in np.argwhere(~np.isfinite(table))[0]]
        raise NonFiniteError(
            f"distances[{index}], layer {bad[0]}, models {bad[1]} and {bad[2]}: {table[tuple(bad)]}; a missing model "
            "must be left out by the caller, by name"
        )
    if (np.abs(table - table.swapaxes(1, 2)) > _ASYMMETRY * np.abs(table).max()).any():
        raise ShapeError(f"distances[{index}] should be symmetric: the drift of one model from another and back")
    return table
