"""Several methods against one reference at once: Dunnett's test of their means, stratified, with its null distribution simulated.

The methods share the reference's noise, so that their differences from it move together. Holm's correction does not know that. A joint maximum over
methods under relabelled models knows it, but holds under the complete null only: where one method differs, exchanging its models with those of
the others gives these a null distribution that is far too wide. Here the null distribution is that of differences in which nothing differs, whatever
the data show: noise of models within their own cells. So it stays right where some methods differ. The price is an assumption that
permutation does not make: values (of drift, the logarithm) are normal within cells, with one spread for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from repdrift.core.errors import ConfigError, DegenerateInputError, ShapeError
from repdrift.statistics.arrangements import Floats, finite, stratum_labels
from repdrift.statistics.permutation import Alternative, as_evidence, require_alternative

DRAWS = 20_000
"""Simulated studies: a p of 0.05 is then known to 0.0015."""


@dataclass(frozen=True)
class DunnettResult:
    """The outcome of Dunnett's test; arrays are (K,), one value a method.

    difference: method minus reference, mean over strata. statistic: in its standard errors. single_step, step_down: adjusted p. Both control the
    chance of any false rejection; step_down is never the larger. freedom: degrees of freedom of the spread within cells.
    """

    difference: Floats
    statistic: Floats
    single_step: Floats
    step_down: Floats
    freedom: int


def dunnett_test(
    methods: Sequence[ArrayLike],
    reference: ArrayLike,
    *,
    strata: Sequence[Sequence[object]] | None = None,
    alternative: Alternative = "less",
    draws: int = DRAWS,
    seed: int = 0,
) -> DunnettResult:
    """Test which of K methods are less than the reference (greater, different), with one family-wise error for all of them.

    methods: K lists of values, one per trained model; reference: its values. Give log drifts. strata: for the reference, then for each method, the
    label of every value, such as its task; None: one stratum. A difference is the mean over strata of the difference of means; its error is the
    spread within cells (method by stratum), pooled over all of them. Adjusted p are shares of `draws` studies simulated from that model, with
    p = (1 + hits) / (1 + draws); step_down goes from the largest difference to the smallest, and drops what was passed from the maximum.
    Assumes normal values with one spread in all cells; what follows where spreads differ is in docs/explanation/calibration.md.
    Raises ShapeError unless every method has values in every stratum of the reference, DegenerateInputError if no cell has two values or values do
    not vary within cells, NonFiniteError for NaN or Inf, ConfigError if draws < 1, UnknownNameError.
    Source: Dunnett 1955; Dunnett and Tamhane 1991 (step-down). Departure: strata, and simulation in the place of the multivariate t integral.
    """
    require_alternative(alternative)
    if draws < 1:
        raise ConfigError(f"at least one draw is needed, got {draws}")
    values = [finite(reference, "reference"), *(finite(v, f"methods[{k}]") for k, v in enumerate(methods))]
    if len(values) < 2:
        raise ShapeError("at least one method should be compared with the reference, got none")
    given = [None] * len(values) if strata is None else list(strata)
    if len(given) != len(values):
        raise ShapeError(f"strata should label the reference and {len(values) - 1} methods, got {len(given)} lists")
    labels = [np.array(stratum_labels(own, v.size, "value")) for own, v in zip(given, values, strict=True)]
    names = sorted(set(labels[0].tolist()))
    for own in labels[1:]:
        if sorted(set(own.tolist())) != names:
            raise ShapeError(
                f"every method should have values in the strata of the reference, {names}; got {sorted(set(own.tolist()))}"
            )
    cells = [[v[own == name] for name in names] for v, own in zip(values, labels, strict=True)]
    means = np.array([[cell.mean() for cell in row] for row in cells])
    shares = np.array([[1 / cell.size for cell in row] for row in cells])
    freedom = sum(cell.size - 1 for row in cells for cell in row)
    squares = sum(float(np.square(cell - cell.mean()).sum()) for row in cells for cell in row)
    if freedom < 1 or squares <= 0:
        raise DegenerateInputError(
            "the values do not vary within methods and strata: there is no spread to hold a difference against"
        )
    error = np.sqrt((shares[1:] + shares[0]).sum(axis=1)) / len(names)
    difference = (means[1:] - means[0]).mean(axis=1)
    statistic = difference / (np.sqrt(squares / freedom) * error)
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((draws, *means.shape)) * np.sqrt(shares)
    spread = np.sqrt(generator.chisquare(freedom, size=(draws, 1)) / freedom)
    null = as_evidence((noise[:, 1:] - noise[:, :1]).mean(axis=2) / (spread * error), alternative)
    observed = as_evidence(statistic, alternative)
    single = (1 + (null.max(axis=1)[:, None] >= observed).sum(axis=0)) / (1 + draws)
    order = np.argsort(-observed, kind="stable")
    step_down, least = np.empty_like(observed), 0.0
    for place, method in enumerate(order):
        largest = null[:, order[place:]].max(axis=1)
        least = max(least, float((1 + (largest >= observed[method]).sum()) / (1 + draws)))
        step_down[method] = least
    return DunnettResult(difference, statistic, single, step_down, freedom)
