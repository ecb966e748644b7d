"""Sign flips of whole rows: is the mean of difference vectors further from zero than their own signs, drawn at random, give it?

Hotelling's test needs more samples than features. Flipping the sign of a whole vector keeps all its features together, so that it works for any
number of them. It takes the products between vectors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import NonFiniteError, ShapeError
from repdrift.statistics.arrangements import Floats, visited
from repdrift.statistics.multiplicity import max_t_hits

_DRAWS = 1999
_BLOCK = 512
_TIE = 1e-9


@dataclass(frozen=True)
class FlippedMeansResult:
    """The outcome of a sign-flip test in several layers at once.

    statistic: (L,) squared norm of the mean without the part that any signs give, over its standard deviation under random signs; 0 where it
    does not vary. pvalue: layer by layer. adjusted: corrected over the layers (step-down maximum). smallest_pvalue: the least p that this
    design can give. exact: all arrangements of signs were visited. n_flips: arrangements visited. n_units: vectors.
    """

    statistic: Floats
    pvalue: Floats
    adjusted: Floats
    smallest_pvalue: float
    exact: bool
    n_flips: int
    n_units: int


def flipped_means_test(
    products: Sequence[NDArray[np.floating]], *, n_flips: int = _DRAWS, seed: int = 0
) -> FlippedMeansResult:
    """Test in which layers difference vectors have a mean other than zero.

    products: for each layer (m, m), the products of every two of the m vectors; the same m units in every layer. A vector is the difference of
    one sample, or the summed differences of one group of samples. The squared norm of the sum under signs s is s'Ks. The test visits
    all arrangements of signs if there are at most `n_flips`, else as many random ones, p = (1 + hits) / (1 + draws). Turning all signs changes
    nothing, so the least exact p is 2 / 2^m. The signs are the same in every layer, so that the correction knows how layers depend on each other.
    Assumes that under the null hypothesis a vector is as likely as its negative. A layer whose vectors are all at right angles, or zero, has p = 1.
    Raises ShapeError unless the products are of the same units and there is a layer; NonFiniteError for NaN or Inf; ConfigError if n_flips < 1.
    Source: Fisher 1935, section 21 (signs); Westfall and Young 1993, algorithm 4.1 (layers).
    """
    if not products:
        raise ShapeError("products of at least one layer are needed, got none")
    m = int(products[0].shape[0])
    tables: list[Floats] = []
    for layer, given in enumerate(products):
        table = np.asarray(given, dtype=np.float64)
        if table.shape != (m, m) or m == 0:
            raise ShapeError(f"products should be of shape ({m}, {m}) in every layer, got {table.shape}")
        if not np.isfinite(table).all():
            raise NonFiniteError(f"the products of layer number {layer} hold NaN or Inf")
        between = table.copy()
        np.fill_diagonal(between, 0.0)
        deviation = float(np.sqrt(2 * np.square(between).sum()))
        tables.append(between / deviation if deviation > 0 else between)
    observed = np.array([float(table.sum()) for table in tables])
    visits = visited(2 ** (m - 1), n_flips, "n_flips")

    def blocks() -> list[Floats]:
        found: list[Floats] = []
        generator = np.random.default_rng(seed)
        for start in range(0, visits.count, _BLOCK):
            stop = min(start + _BLOCK, visits.count)
            signs = (
                _signs(np.arange(start, stop), m)
                if visits.exact
                else 2.0 * generator.integers(0, 2, size=(stop - start, m)) - 1
            )
            found.append(np.stack([((signs @ table) * signs).sum(axis=1) for table in tables], axis=1))
        return found

    # Standardised by the spread under random signs, every layer's statistic is of size 1 where nothing moved.
    hits = max_t_hits(blocks(), observed, np.full(observed.size, _TIE * max(1.0, float(np.abs(observed).max()))))
    return FlippedMeansResult(
        statistic=observed,
        pvalue=visits.pvalues(hits.alone),
        adjusted=visits.pvalues(hits.step_down),
        smallest_pvalue=visits.smallest_pvalue(1 / 2 ** (m - 1)),
        exact=visits.exact,
        n_flips=visits.count,
        n_units=m,
    )


def _signs(numbers: NDArray[np.int64], m: int) -> Floats:
    """Arrangements of m signs by number, (arrangements, m); the first sign is always +, since turning all of them changes nothing."""
    negative = (numbers[:, None] << 1 >> np.arange(m)) & 1
    return 1.0 - 2.0 * negative.astype(np.float64)
