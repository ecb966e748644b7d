"""Corrections for many tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repdrift.core.errors import ShapeError


def holm(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values, (m,): they control the chance of any false rejection. Source: Holm 1979."""
    p = _checked(pvalues)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((p.size - np.arange(p.size)) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Benjamini and Hochberg's adjusted p-values, (m,): they control the expected share of false rejections.

    Source: Benjamini and Hochberg 1995; valid under independence or positive dependence.
    """
    p = _checked(pvalues)
    order = np.argsort(p, kind="stable")
    ratio = p[order] * p.size / np.arange(1, p.size + 1)
    stepped = np.minimum.accumulate(ratio[::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _checked(pvalues: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or p.size == 0:
        raise ShapeError(f"p-values should be a list of at least one, got shape {p.shape}")
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ShapeError(
            "p-values should lie in [0, 1]; a test that was not possible must be left out, not given as NaN"
        )
    return p
