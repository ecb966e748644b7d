"""Pairings of two rankings: how small the p of a rank correlation can be, whatever the pairing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from repdrift.statistics.arrangements import Floats
from repdrift.statistics.permutation import Alternative, tie_slack


def least_pairing_pvalue(strata: Sequence[tuple[Floats, Floats]], weights: Floats, alternative: Alternative) -> float:
    """The share of all pairings that correlate as strongly as the best one: the least p that these values can give.

    strata: the ranks of both variables, (n,) each, centred and of length 1, one pair for each stratum. weights: (strata,), of their
    correlations in the mean. Exact for any number of runs, without a visit to one pairing: the largest product of two lists has both in
    the same order, and the only other pairings that reach it exchange ties. 0.0 where the share is below the least number.
    Source: Hardy, Littlewood and Polya 1952, section 10.2, for the largest product.
    """
    highest = sum(w * float(np.sort(x) @ np.sort(y)) for w, (x, y) in zip(weights, strata, strict=True))
    lowest = sum(w * float(np.sort(x) @ np.sort(y)[::-1]) for w, (x, y) in zip(weights, strata, strict=True))
    every = math.prod(math.factorial(x.size) for x, _ in strata)
    same = math.prod(_orders_alike(x, y) for x, y in strata) / every
    reversed_ = math.prod(_orders_alike(x, -y) for x, y in strata) / every
    if alternative == "greater":
        return same
    if alternative == "less":
        return reversed_
    if abs(highest + lowest) <= tie_slack(1.0):
        return same + reversed_
    return same if highest > -lowest else reversed_


def _orders_alike(x: Floats, y: Floats) -> int:
    """The orders of y, of n!, that have the largest product with x: those that exchange ties of x or of y."""
    _, of_x, ties_of_x = np.unique(np.sort(x), return_inverse=True, return_counts=True)
    _, of_y, ties_of_y = np.unique(np.sort(y), return_inverse=True, return_counts=True)
    _, ties_of_both = np.unique(np.stack([of_x, of_y]), axis=1, return_counts=True)
    exchanges = [math.prod(math.factorial(int(n)) for n in ties) for ties in (ties_of_x, ties_of_y, ties_of_both)]
    return exchanges[0] * exchanges[1] // exchanges[2]
