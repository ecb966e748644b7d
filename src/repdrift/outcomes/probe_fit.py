"""A linear probe: how well the classes of samples can be read off one layer's rows, each sample by a probe that never saw it.

The probe is scikit-learn's multinomial logistic regression with an L2 penalty. Its strength is chosen inside each training part.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.errors import ShapeError
from repdrift.core.thread_limit import one_thread

FOLDS = 5
INNER_FOLDS = 3
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the penalty (scikit-learn's C), over features of variance 1. The strongest penalty comes first."""
_MANY_NUMBERS = 1 << 22
"""Rows times features from which on several threads are worth it."""
_LEAST_PROBABILITY = 1e-12
_TOLERANCE = 1e-4
_MOST_STEPS = 1000

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Numbers of the rows to fit on, and of those to predict."""


def probe_fault(labels: Labels, groups: Sequence[str] | None) -> str | None:
    """Returns the reason why no probe can be fitted, in a sentence; None if one can.

    labels: (n,) class numbers. groups: n labels of rows that stay in one fold; None: each row stands alone.
    """
    counts = np.bincount(labels)
    if np.count_nonzero(counts) < 2:
        return "every sample has the same class, so there is nothing to tell apart"
    enough = int(np.count_nonzero(counts >= FOLDS))
    if enough < 2:
        return (
            f"{int(np.count_nonzero(counts))} classes have {counts.max()} samples at most, and {enough} of them has {FOLDS} or more: a probe is "
            f"fitted in {FOLDS} parts, and needs two classes with {FOLDS} samples each"
        )
    if groups is not None and len(set(groups)) < FOLDS:
        return f"the samples come in {len(set(groups))} groups, and groups stay together in {FOLDS} parts"
    if any(
        np.unique(labels[inner]).size < 2
        for train, _ in splits(labels, groups, FOLDS)
        for inner, _ in _inner(labels, groups, train)
    ):
        return "groups of samples stay together, and a part without some of them is left with one class"
    return None


def splits(labels: Labels, groups: Sequence[str] | None, folds: int) -> list[Split]:
    """Returns the parts of a cross-validation, with each class spread over them and groups kept whole; always the same ones."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    with warnings.catch_warnings():
        # A class with fewer rows than parts is in the training rows of some parts only. That is what a rare class is.
        warnings.filterwarnings("ignore", message="The least populated class in y", category=UserWarning)
        if groups is None:
            cut: Any = StratifiedKFold(folds, shuffle=True, random_state=0).split(labels, labels)
        else:
            cut = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, labels, list(groups))
        return list(cut)


def probe_hits(rows: Floats, labels: Labels, groups: Sequence[str] | None) -> Floats:
    """Returns for each row whether a probe fitted without its part names its class: (n,), 1 or 0.

    rows: (n, p) one layer's representations. labels: (n,) class numbers from 0. groups: as in `probe_fault`, which must have no
    fault to tell. Features are standardised by the rows that are fitted on. The strength is that with the lowest mean log loss
    over 3 parts of the training rows; of equals, the stronger penalty. Raises ShapeError if the numbers of rows differ.
    """
    if rows.ndim != 2 or labels.shape != (len(rows),):
        raise ShapeError(f"rows should be (n, p) with n labels; got {rows.shape} and {labels.shape}")
    with one_thread(small=rows.size <= _MANY_NUMBERS):
        return _hits(rows, labels, groups)


def _hits(rows: Floats, labels: Labels, groups: Sequence[str] | None) -> Floats:
    hits = np.zeros(len(rows))
    for train, test in splits(labels, groups, FOLDS):
        losses = np.zeros(len(STRENGTHS))
        for inner_train, inner_test in _inner(labels, groups, train):
            fitted = _probabilities(rows, labels, inner_train, inner_test, STRENGTHS)
            for number, (classes, probabilities) in enumerate(fitted):
                losses[number] += _log_loss(classes, probabilities, labels[inner_test])
        best = int(np.argmin(losses))  # the first of equals
        # The path from the strongest penalty on is taken here too, so that each fit starts near its end.
        classes, probabilities = _probabilities(rows, labels, train, test, STRENGTHS[: best + 1])[-1]
        hits[test] = classes[probabilities.argmax(axis=1)] == labels[test]
    return hits


def _inner(labels: Labels, groups: Sequence[str] | None, train: NDArray[np.int64]) -> list[Split]:
    inside: list[str] | None = None if groups is None else [groups[int(i)] for i in train]
    if inside is not None and len(set(inside)) < INNER_FOLDS:
        return [(train[:0], train)]
    return [(train[a], train[b]) for a, b in splits(labels[train], inside, INNER_FOLDS)]


def _probabilities(
    rows: Floats, labels: Labels, train: NDArray[np.int64], test: NDArray[np.int64], strengths: Sequence[float]
) -> list[tuple[Labels, Floats]]:
    """The classes that were fitted and the probabilities of the test rows (m, classes), for each strength."""
    from sklearn.linear_model import LogisticRegression

    fitted_on, predicted = _coordinates(rows[train], rows[test])
    probe = LogisticRegression(tol=_TOLERANCE, max_iter=_MOST_STEPS, warm_start=True)
    found: list[tuple[Labels, Floats]] = []
    for strength in strengths:
        probe.C = strength
        probe.fit(fitted_on, labels[train])
        found.append((np.asarray(probe.classes_), np.asarray(probe.predict_proba(predicted), dtype=np.float64)))
    return found


def _coordinates(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Standardises by the training rows; with fewer rows than features, turns both into the space that the training rows span.

    The penalty is on the weights' length, so a solution lies in that space, and the turn changes no prediction.
    """
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    train, test = (train - mean) / spread, (test - mean) / spread
    if len(train) >= train.shape[1]:
        return train, test
    squares, axes = np.linalg.eigh(train @ train.T)
    kept = squares > squares[-1] * len(train) * np.finfo(np.float64).eps
    if not kept.any():
        return train[:, :1], test[:, :1]  # rows that do not vary: every feature is 0
    lengths, axes = np.sqrt(squares[kept]), axes[:, kept]
    return axes * lengths, test @ (train.T @ (axes / lengths))


def _log_loss(classes: Labels, probabilities: Floats, actual: Labels) -> float:
    """The sum of -log of the probability of the true class; one that was not fitted has the least probability."""
    columns = np.searchsorted(classes, actual).clip(max=len(classes) - 1)
    given = np.where(classes[columns] == actual, probabilities[np.arange(len(actual)), columns], 0.0)
    return float(-np.log(np.maximum(given, _LEAST_PROBABILITY)).sum())
