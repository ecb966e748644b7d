"""Groups of samples that belong together: which part of the samples is left out with each, and how many groups they are worth."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ConfigError


def group_numbers(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    """The number of each sample's group, from 0, in the order in which groups first appear: (n,)."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(group, len(known)) for group in groups], dtype=np.int64)


def group_parts(groups: Sequence[Hashable], most: int, *, seed: int) -> NDArray[np.int64]:
    """Put whole groups into at most `most` parts of nearly equal size: (n,) labels 0 to P - 1. Seeded.

    A group is never split. With no more groups than `most`, each is a part. Else the largest groups are put first, each into the part that
    is smallest so far, and groups of one size in random order. Raises ConfigError unless there are 2 groups and `most` is at least 2.
    """
    numbers = group_numbers(groups)
    sizes = np.bincount(numbers)
    if sizes.size < 2 or most < 2:
        raise ConfigError(
            f"at least 2 groups of samples in at least 2 parts can be left out in turn, got {sizes.size} and {most}"
        )
    if sizes.size <= most:
        return numbers
    shuffled = np.random.default_rng(seed).permutation(sizes.size)
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    parts = [(0, part) for part in range(most)]
    part_of = np.empty(sizes.size, dtype=np.int64)
    for group in order:
        size, part = heapq.heappop(parts)
        part_of[group] = part
        heapq.heappush(parts, (size + int(sizes[group]), part))
    return part_of[numbers]


def degrees_of_freedom(labels: NDArray[np.integer]) -> float:
    """Degrees of freedom of a variance over parts or groups: the number of parts of equal size with the same sum of squared sizes, less 1.

    labels: (n,), 0 to P - 1. At least 1. Parts of one size give P - 1.
    Source: Carter, Schnepel and Steigerwald 2017, for samples of a group that are equally correlated.
    """
    sizes = np.bincount(labels).astype(np.float64)
    return max(float(sizes.sum() ** 2 / np.square(sizes).sum()) - 1, 1.0)
