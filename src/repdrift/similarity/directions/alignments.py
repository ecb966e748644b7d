"""Share of the squared differences that a shift, a rotation, a scaling, another linear map and the rest account for: nested alignments, on held-out rows.

Each alignment maps base rows x onto tuned rows y, is fitted on some samples and scored on others, so that one with more freedom is not better
for that alone. With means mx, my of the fitted samples:

    none       x
    shift      x + (my - mx)
    rotation   my + (x - mx) Q                  Q orthogonal
    scaling    my + c (x - mx) Q
    linear     my + c (x - mx) Q + (x - mx) W

A rotation comes before a scaling. In the other order, the best scale under a large rotation is 0, since rows that are turned away are better met
by their mean: half of the change of a pure rotation would count as scaling. In this order a pure scaling needs no rotation, and each is found.

A tuned model starts as the base model, so every map is held towards the one before it: Q = polar(X'Y + t I), which is the orthogonal matrix
that minimises ||XQ - Y||^2 + t ||Q - I||^2, and W is ridge regression of what is left. Where there are no samples, Q is therefore the identity
and W is 0. The strength of each is the best one on the other folds' held-out samples; no rotation, or no linear map, is among the choices.
Source: Schönemann 1966 (orthogonal Procrustes); Hoerl and Kennard 1970 (ridge).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.core.confidence import Interval, jackknife_reach
from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.directions.differences import Differences
from repdrift.similarity.uncertainty.sample_groups import degrees_of_freedom, group_parts

_Floats = NDArray[np.float64]

KINDS = ("shift", "rotation", "scaling", "linear", "rest")
"""The parts of the change, in the order in which alignments are nested."""

LEAST_UNITS = 10
"""The fewest samples, or groups of samples, for which parts are held out."""

ROTATED = 256
"""The most directions in which a rotation is sought: the leading ones of both models' rows. Outside of them it is the identity."""

_RANK = 1024
"""The most directions of the base model's rows that the linear map reads."""

_ROTATION_STRENGTHS = (1.0, 1e-2, 1e-4)
_RIDGE_STRENGTHS = (1e1, 1.0, 1e-1, 1e-2, 1e-4)
"""Times the mean square of the base model's rows along a direction. Before all of them stands: the map is not used."""


@dataclass(frozen=True)
class AlignmentShare:
    """Share of the squared differences that one alignment takes off, after those before it; of `rest` what all of them leave.

    Shares add up to 1. One below 0 says that its alignment fits samples that it has not seen worse than the one before it. interval: over
    samples (whole units), conditional on models and fits; None: there is none, as where one unit alone moved.
    """

    kind: str
    share: float
    interval: Interval | None


@dataclass(frozen=True)
class AlignmentShares:
    """Shares of all kinds, in the order of KINDS. folds: parts of the samples that were held out in turn.

    rotation_alone, scaling_alone: the share that a rotation about the origin, or a scaling from it, takes off by itself, without a shift. Where
    all samples share a large mean, either moves that mean, which `shift` then takes off first: so a shift, a rotation and a scaling can
    account for the same change. directions: of the rotation, at most ROTATED. scale: mean of c over the folds.
    """

    shares: tuple[AlignmentShare, ...]
    rotation_alone: float
    scaling_alone: float
    folds: int
    directions: int
    scale: float

    def of(self, kind: str) -> float:
        """The share of one kind."""
        return next(share.share for share in self.shares if share.kind == kind)


def alignment_shares(
    differences: Differences, *, folds: int = 5, seed: int = 0, confidence: float = 0.95, with_interval: bool = True
) -> AlignmentShares:
    """Measures what kind of map takes the base model's rows to the tuned model's.

    Whole units are held out. Raises DegenerateInputError if nothing moved but for rounding, or there are fewer than LEAST_UNITS units.
    """
    d, parts = differences, _parts(differences, folds, seed)
    basis = rotated_directions(d, seed)
    centred = [_Fold(d, held, basis) for held in parts]
    numbers = _chosen([fold.turned_errors() for fold in centred])
    linear = [fold.linear_errors(number) for fold, number in zip(centred, numbers, strict=True)]
    errors = d.rows.new_empty((d.n, len(KINDS)))
    for fold, number, strength in zip(centred, numbers, _chosen(linear), strict=True):
        errors[fold.held] = fold.errors(number, strength)
    alone = [_Fold(d, held, basis, about_mean=False) for held in parts]
    # Its strength is that of the rotation about the mean; where none served there, the strongest hold.
    turned = [fold.left(fold.turn(max(number, 1))) for fold, number in zip(alone, numbers, strict=True)]
    moved = float(errors[:, 0].sum())
    return AlignmentShares(
        _shares(d, errors, confidence if with_interval else None),
        1 - sum(float(rows.square().sum()) for rows in turned) / moved,
        1 - sum(float(fold.scaled(fold.turn(0)).square().sum()) for fold in alone) / moved,
        len(parts),
        basis.shape[1],
        float(np.mean([1 + fold.stretch(fold.turn(number)) for fold, number in zip(centred, numbers, strict=True)])),
    )


def shift_share(differences: Differences, *, folds: int = 5, seed: int = 0) -> float:
    """Measures the share of `shift` alone, which takes next to no time. Raises what `alignment_shares` raises."""
    d = differences
    left = sum(
        float((d.rows[held] - d.rows[~held].mean(dim=0)).square().sum()) for held in _parts(differences, folds, seed)
    )
    return 1 - left / float(d.rows.square().sum())


def _parts(d: Differences, folds: int, seed: int) -> list[Tensor]:
    """Yields which rows are held out together: (n,) true or false, for each fold."""
    if d.are_rounding:
        raise DegenerateInputError("nothing moved: there is no change to share out")
    if d.n_units < LEAST_UNITS:
        raise DegenerateInputError(
            f"shares are measured on samples that are held out, which takes {LEAST_UNITS} of them (or of their groups) at least; got {d.n_units}"
        )
    labels = torch.as_tensor(group_parts(d.units.tolist(), folds, seed=seed), device=d.rows.device)
    return [labels == number for number in range(int(labels.max()) + 1)]


def rotated_directions(d: Differences, seed: int = 0) -> Tensor:
    """Orthonormal directions (p, k) in which a rotation is sought: all of them if p <= ROTATED, else the leading ones of both models' rows.

    Source: Halko, Martinsson and Tropp 2011, algorithm 4.4, with two iterations.
    """
    if d.p <= ROTATED:
        return torch.eye(d.p, dtype=d.rows.dtype, device=d.rows.device)
    return _leading(torch.cat([d.base, d.base + d.rows]), ROTATED, seed)


def _chosen(errors: Sequence[Tensor]) -> list[int]:
    """For each fold the number of the best of (s,) errors, summed over the samples held out in the other folds; the first of equal ones."""
    table = torch.stack(list(errors))
    return [int(others.argmin()) for others in table.sum(dim=0) - table]


class _Fold:
    """One part of the samples held out, and the maps fitted to the others.

    Rows are taken from the means of the fitted samples, or as they are. They are made anew wherever they are needed: of several folds together they
    would fill the memory. Maps are kept as what they add to the identity, so that a small drift keeps its digits: a turn is Q - I within the
    basis (p, k); number 0 turns nothing.
    """

    def __init__(self, d: Differences, held: Tensor, basis: Tensor, *, about_mean: bool = True) -> None:
        self.held = held
        self._d, self._basis = d, basis
        fitted = ~held
        self._mean_x = d.base[fitted].mean(dim=0) if about_mean else d.base.new_zeros(d.p)
        self._mean_d = d.rows[fitted].mean(dim=0) if about_mean else d.base.new_zeros(d.p)
        x, moved = self._rows(fitted)
        inside = x @ basis
        self._square = float(x.square().sum())
        self._along = float((x * moved).sum())
        self._product = inside.T @ (inside + moved @ basis)
        self._unit = self._square / min(x.shape)
        self._known: dict[int, Tensor] = {}
        self._fitted_ridge: _Ridge | None = None

    def turned_errors(self) -> Tensor:
        """Squared error over the held-out rows without a rotation, and with one of each strength: (s,)."""
        x, moved = self._rows(self.held)
        errors = [moved.square().sum()]
        if self._square > 0:
            # Within the basis alone: outside of it nothing is turned.
            inside, moved_in = x @ self._basis, moved @ self._basis
            for number in range(1, len(_ROTATION_STRENGTHS) + 1):
                turned = inside @ self.turn(number)
                errors.append(errors[0] - 2 * (moved_in * turned).sum() + turned.square().sum())
        return torch.stack(errors)

    def turn(self, number: int) -> Tensor:
        """The rotation of one strength, less the identity; nothing for number 0, or where the base model's rows do not differ."""
        if number == 0 or self._square == 0:
            return torch.zeros_like(self._product)
        if number not in self._known:
            identity = torch.eye(len(self._product), dtype=self._product.dtype, device=self._product.device)
            held_to = self._product + _ROTATION_STRENGTHS[number - 1] * self._unit * identity
            u, _, vh = torch.linalg.svd(held_to)
            self._known[number] = u @ vh - identity
        return self._known[number]

    def stretch(self, turn: Tensor) -> float:
        """The best scale behind a rotation, less 1; 0 where the base model's rows do not differ."""
        return 0.0 if self._square == 0 else (self._along + float((turn * self._product).sum())) / self._square

    def left(self, turn: Tensor) -> Tensor:
        """The held-out differences that a rotation leaves: (h, p)."""
        x, moved = self._rows(self.held)
        return moved - self._moved(x, turn, 0.0)

    def scaled(self, turn: Tensor) -> Tensor:
        """The held-out differences that a rotation and then the best scale leave: (h, p)."""
        x, moved = self._rows(self.held)
        return moved - self._moved(x, turn, self.stretch(turn))

    def linear_errors(self, number: int) -> Tensor:
        """Squared error over the held-out rows behind rotation `number` and scale, without a linear map and with one of each strength: (s,)."""
        left = self.scaled(self.turn(number))
        errors = [left.square().sum()]
        if self._square > 0:
            ridge = self._fitted_ridge = self._ridge(number)
            errors += [(left - ridge.predicted(strength)).square().sum() for strength in _RIDGE_STRENGTHS]
        return torch.stack(errors)

    def errors(self, number: int, strength: int) -> Tensor:
        """Squared error of every held-out row under no alignment, shift, rotation, scaling and linear map: (h, 5)."""
        turn = self.turn(number)
        left = self.scaled(turn)
        linear = left if strength == 0 else left - self._linear(number, strength)
        found = (self._d.rows[self.held], self._rows(self.held)[1], self.left(turn), left, linear)
        return torch.stack([rows.square().sum(dim=1) for rows in found], dim=1)

    def _linear(self, number: int, strength: int) -> Tensor:
        ridge = self._fitted_ridge or self._ridge(number)
        return ridge.predicted(_RIDGE_STRENGTHS[strength - 1])

    def _ridge(self, number: int) -> _Ridge:
        turn = self.turn(number)
        x, moved = self._rows(~self.held)
        return _Ridge(x, moved - self._moved(x, turn, self.stretch(turn)), self._rows(self.held)[0])

    def _rows(self, which: Tensor) -> tuple[Tensor, Tensor]:
        return self._d.base[which] - self._mean_x, self._d.rows[which] - self._mean_d

    def _moved(self, x: Tensor, turn: Tensor, stretch: float) -> Tensor:
        """(1 + stretch) x Q - x."""
        if not bool(turn.any()):
            return stretch * x
        turned = ((x @ self._basis) @ turn) @ self._basis.T
        return turned.mul_(1 + stretch).add_(x, alpha=stretch)


class _Ridge:
    """Ridge regression of y (t, p) on x (t, p), for any strength, predicted for rows `at` (h, p)."""

    def __init__(self, x: Tensor, y: Tensor, at: Tensor) -> None:
        if min(x.shape) > _RANK:
            basis = _leading(x, _RANK, 0)
            x, at = x @ basis, at @ basis
        dual = x.shape[0] < x.shape[1]
        squares, vectors = torch.linalg.eigh(x @ x.T if dual else x.T @ x)
        self._squares = squares.clamp(min=0)
        self._unit = float(self._squares.sum()) / len(squares)
        self._known = vectors.T @ (y if dual else x.T @ y)
        self._reads = (at @ x.T if dual else at) @ vectors

    def predicted(self, strength: float) -> Tensor:
        """Predictions (h, p) at one strength, in units of the mean square of the rows along a direction."""
        return (self._reads / (self._squares + strength * self._unit)) @ self._known


def _leading(rows: Tensor, count: int, seed: int) -> Tensor:
    """Orthonormal directions (p, count) that hold most of rows (n, p)."""
    drawn = torch.randn((rows.shape[1], count), dtype=rows.dtype, generator=torch.Generator().manual_seed(seed))
    basis = torch.linalg.qr(drawn.to(rows.device)).Q
    for _ in range(3):
        basis = torch.linalg.qr(rows.T @ (rows @ basis)).Q
    return basis


def _shares(d: Differences, errors: Tensor, confidence: float | None) -> tuple[AlignmentShare, ...]:
    by_unit = d.summed(errors).cpu().numpy()
    parts = np.concatenate([by_unit[:, :-1] - by_unit[:, 1:], by_unit[:, -1:]], axis=1)
    moved = by_unit[:, 0]
    # What is left without each unit: nothing where one unit alone moved, and then there are no shares without it.
    others = np.concatenate([[0.0], np.cumsum(moved)[:-1]]) + np.concatenate([np.cumsum(moved[::-1])[::-1][1:], [0.0]])
    found: list[AlignmentShare] = []
    for number, kind in enumerate(KINDS):
        share = float(parts[:, number].sum() / moved.sum())
        interval = None
        if confidence is not None and bool((others > 0).all()):
            without = (parts[:, number].sum() - parts[:, number]) / others
            reach = jackknife_reach(without, confidence, degrees_of_freedom(d.units))
            interval = Interval(share - reach, share + reach)
        found.append(AlignmentShare(kind, share, interval))
    return tuple(found)
