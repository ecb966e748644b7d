"""Share of drift that a shift, a rotation, a scaling, another linear map and the rest account for: nested alignments, on held-out rows.

Each alignment maps base rows x onto tuned rows y, is fitted on some samples and scored on others, so that one with more freedom is not better
for that alone. With means mx, my of the fitted samples:

    none       x
    shift      x + (my - mx)
    rotation   my + (x - mx) Q                  Q orthogonal
    scaling    my + c (x - mx) Q
    linear     my + c (x - mx) Q + (x - mx) W

A rotation comes before a scaling. In the other order, the best scale under a large rotation is 0, since rows that are turned away are better met
by their mean: half of the drift of a pure rotation would count as scaling. In this order a pure scaling needs no rotation, and each is found.

A tuned model starts as the base model, so every map is held towards the one before it: Q = polar(X'Y + t I), which is the orthogonal matrix
that minimises ||XQ - Y||^2 + t ||Q - I||^2, and W is ridge regression of what is left. Where there are no samples, Q is therefore the identity
and W is 0. The strength of each is the best one on the other folds' held-out samples; no rotation, or no linear map, is among the choices.
Source: Schönemann 1966 (orthogonal Procrustes); Hoerl and Kennard 1970 (ridge).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
"""The parts of drift, in the order in which alignments are nested."""

LEAST_UNITS = 10
"""The fewest samples, or groups of samples, for which parts are held out."""

ROTATED = 384
"""The most directions in which a rotation is sought: the leading ones of both models' rows. Outside of them it is the identity."""

_RANK = 1024
"""The most directions of the base model's rows that the linear map reads."""

_ROTATION_STRENGTHS = (1.0, 1e-2, 1e-4)
_RIDGE_STRENGTHS = (1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-4, 1e-6)
"""Times the mean square of the base model's rows along a direction. Before all of them stands: the map is not used."""


@dataclass(frozen=True)
class AlignmentShare:
    """Share of the squared differences that one alignment takes off, after those before it; of `rest` what all of them leave.

    Shares add up to 1. One below 0 says that its alignment fits samples that it has not seen worse than the one before it. interval: over
    samples (whole units), conditional on models and fits; None: there is none.
    """

    kind: str
    share: float
    interval: Interval | None


@dataclass(frozen=True)
class AlignmentShares:
    """Shares of all kinds, in the order of KINDS. folds: parts of the samples that were held out in turn.

    rotation_alone, scaling_alone: the share that a rotation about the origin, or a scaling from it, takes off by itself, without a shift. Where
    all samples share a large mean, either moves that mean, which `shift` then takes off first: so a shift, a rotation and a scaling can
    account for the same drift. directions: of the rotation, at most ROTATED. scale: mean of c over the folds.
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
    d = differences
    if d.are_rounding:
        raise DegenerateInputError("nothing moved: there is no drift to share out")
    if d.n_units < LEAST_UNITS:
        raise DegenerateInputError(
            f"shares are measured on samples that are held out, which takes {LEAST_UNITS} of them (or of their groups) at least; got {d.n_units}"
        )
    labels = torch.as_tensor(group_parts(d.units.tolist(), folds, seed=seed), device=d.rows.device)
    parts = [labels == number for number in range(int(labels.max()) + 1)]
    basis = rotated_directions(d, seed)
    centred = [_Fold.of(d, held, basis, about_mean=True) for held in parts]
    alone = [_Fold.of(d, held, basis, about_mean=False) for held in parts]
    turned, turned_alone = _turned(centred), _turned(alone)
    errors = d.rows.new_empty((d.n, len(KINDS)))
    linear = [fold.linear_maps(turn) for fold, turn in zip(centred, turned, strict=True)]
    chosen = _chosen([torch.stack([(left - m).square().sum() for m in maps]) for left, maps in linear])
    for fold, turn, (left, maps), number in zip(centred, turned, linear, chosen, strict=True):
        found = (fold.d, fold.left(turn), left, left - maps[number])
        errors[fold.held, 0] = d.rows[fold.held].square().sum(dim=1)
        errors[fold.held, 1:] = torch.stack([rows.square().sum(dim=1) for rows in found], dim=1)
    moved = float(errors[:, 0].sum())
    return AlignmentShares(
        _shares(d, errors, confidence if with_interval else None),
        1 - sum(float(fold.left(turn).square().sum()) for fold, turn in zip(alone, turned_alone, strict=True)) / moved,
        1 - sum(float(fold.scaled(fold.no_turn).square().sum()) for fold in alone) / moved,
        len(parts),
        basis.shape[1],
        float(np.mean([1 + fold.stretch(turn) for fold, turn in zip(centred, turned, strict=True)])),
    )


def rotated_directions(d: Differences, seed: int = 0) -> Tensor:
    """Orthonormal directions (p, k) in which a rotation is sought: all of them if p <= ROTATED, else the leading ones of both models' rows.

    Source: Halko, Martinsson and Tropp 2011, algorithm 4.4, with two iterations.
    """
    if d.p <= ROTATED:
        return torch.eye(d.p, dtype=d.rows.dtype, device=d.rows.device)
    return _leading(torch.cat([d.base, d.base + d.rows]), ROTATED, seed)


def _turned(folds: Sequence[_Fold]) -> list[Tensor]:
    """The rotation of each fold, less the identity: of the strength that is best on the samples held out in the other folds."""
    turns = [fold.turns() for fold in folds]
    errors = [
        torch.stack([fold.left(turn).square().sum() for turn in found])
        for fold, found in zip(folds, turns, strict=True)
    ]
    return [found[number] for found, number in zip(turns, _chosen(errors), strict=True)]


def _chosen(errors: Sequence[Tensor]) -> list[int]:
    """For each fold the number of the best of (s,) errors, summed over the samples held out in the other folds; the first of equal ones."""
    table = torch.stack(list(errors))
    return [int(others.argmin()) for others in table.sum(dim=0) - table]


@dataclass(frozen=True, eq=False)
class _Fold:
    """One part of the samples held out, (h, p) base rows and differences, and the others, (t, p), to which maps are fitted.

    Rows are taken from the means of the fitted samples, or as they are. Maps are kept as what they add to the identity, so that a small drift
    keeps its digits: a turn is Q - I within the basis (p, k).
    """

    held: Tensor
    x: Tensor
    d: Tensor
    fitted_x: Tensor
    fitted_d: Tensor
    basis: Tensor

    @classmethod
    def of(cls, d: Differences, held: Tensor, basis: Tensor, *, about_mean: bool) -> _Fold:
        x, moved = d.base, d.rows
        if about_mean:
            x, moved = x - x[~held].mean(dim=0), moved - moved[~held].mean(dim=0)
        return cls(held, x[held], moved[held], x[~held], moved[~held], basis)

    @cached_property
    def square(self) -> float:
        """Sum of squares of the fitted base rows."""
        return float(self.fitted_x.square().sum())

    @cached_property
    def product(self) -> Tensor:
        """X'Y of the fitted rows within the basis: (k, k)."""
        inside = self.fitted_x @ self.basis
        return inside.T @ (inside + self.fitted_d @ self.basis)

    @property
    def no_turn(self) -> Tensor:
        """The rotation that leaves all as it is."""
        return torch.zeros_like(self.product)

    def turns(self) -> list[Tensor]:
        """No rotation, and the one of each strength."""
        found = [self.no_turn]
        if self.square > 0:
            unit = self.square / min(self.fitted_x.shape)
            identity = torch.eye(len(self.product), dtype=self.product.dtype, device=self.product.device)
            for strength in _ROTATION_STRENGTHS:
                u, _, vh = torch.linalg.svd(self.product + strength * unit * identity)
                found.append(u @ vh - identity)
        return found

    def stretch(self, turn: Tensor) -> float:
        """The best scale behind a rotation, less 1; 0 where the base model's rows do not differ."""
        if self.square == 0:
            return 0.0
        return (float((self.fitted_x * self.fitted_d).sum()) + float((turn * self.product).sum())) / self.square

    def left(self, turn: Tensor) -> Tensor:
        """The held-out differences that a rotation leaves: (h, p)."""
        return self.d - self._moved(self.x, turn, 0.0)

    def scaled(self, turn: Tensor) -> Tensor:
        """The held-out differences that a rotation and then the best scale leave: (h, p)."""
        return self.d - self._moved(self.x, turn, self.stretch(turn))

    def linear_maps(self, turn: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The held-out differences that rotation and scale leave, (h, p), and those that no linear map, and one of each strength, predict."""
        left = self.scaled(turn)
        maps = [torch.zeros_like(left)]
        if self.square > 0:
            maps += _ridge(self.fitted_x, self.fitted_d - self._moved(self.fitted_x, turn, self.stretch(turn)), self.x)
        return left, maps

    def _moved(self, x: Tensor, turn: Tensor, stretch: float) -> Tensor:
        """(1 + stretch) x Q - x."""
        turned = ((x @ self.basis) @ turn) @ self.basis.T
        return turned.mul_(1 + stretch).add_(x, alpha=stretch)


def _leading(rows: Tensor, count: int, seed: int) -> Tensor:
    """Orthonormal directions (p, count) that hold most of rows (n, p)."""
    drawn = torch.randn((rows.shape[1], count), dtype=rows.dtype, generator=torch.Generator().manual_seed(seed))
    basis = torch.linalg.qr(drawn.to(rows.device)).Q
    for _ in range(3):
        basis = torch.linalg.qr(rows.T @ (rows @ basis)).Q
    return basis


def _ridge(x: Tensor, y: Tensor, at: Tensor) -> list[Tensor]:
    """Ridge regression of y (t, p) on x (t, p), predicted for rows `at` (h, p): (h, p) for each of _RIDGE_STRENGTHS."""
    if min(x.shape) > _RANK:
        basis = _leading(x, _RANK, 0)
        x, at = x @ basis, at @ basis
    dual = x.shape[0] < x.shape[1]
    squares, vectors = torch.linalg.eigh(x @ x.T if dual else x.T @ x)
    squares = squares.clamp(min=0)
    unit = float(squares.sum()) / len(squares)
    known = vectors.T @ (y if dual else x.T @ y)
    reads = (at @ x.T if dual else at) @ vectors
    return [(reads / (squares + strength * unit)) @ known for strength in _RIDGE_STRENGTHS]


def _shares(d: Differences, errors: Tensor, confidence: float | None) -> tuple[AlignmentShare, ...]:
    by_unit = d.summed(errors).cpu().numpy()
    parts = np.concatenate([by_unit[:, :-1] - by_unit[:, 1:], by_unit[:, -1:]], axis=1)
    moved = by_unit[:, 0]
    found: list[AlignmentShare] = []
    for number, kind in enumerate(KINDS):
        share = float(parts[:, number].sum() / moved.sum())
        interval = None
        if confidence is not None:
            without = (parts[:, number].sum() - parts[:, number]) / (moved.sum() - moved)
            reach = jackknife_reach(without, confidence, degrees_of_freedom(d.units))
            interval = Interval(share - reach, share + reach)
        found.append(AlignmentShare(kind, share, interval))
    return tuple(found)
