"""Pairs of related representations that the laws are tried on."""

import numpy as np

from repdrift.core.errors import DegenerateInputError


def related_pair(seed, shape=(24, 7), q=None):
    n, p = shape
    q = p if q is None else q
    g = np.random.default_rng(seed)
    z = g.normal(size=(n, 5))
    x = z @ g.normal(size=(5, p)) + 0.7 * g.normal(size=(n, p)) + g.normal(size=p)
    y = z @ g.normal(size=(5, q)) + 0.7 * g.normal(size=(n, q)) + g.normal(size=q)
    return x, y, g


def saturated(m, x, y):
    """Some measures have one value, whatever the data, unless samples outnumber features; they say so instead."""
    if not m.needs_more_samples:
        return False
    try:
        m(x, y)
    except DegenerateInputError as error:
        assert "more samples than features" in str(error)  # noqa: PT017  (either is right here)
        assert sum(min(len(x) - 1, side.shape[1]) for side in (x, y)) >= len(x) - 1
        return True
    return False
