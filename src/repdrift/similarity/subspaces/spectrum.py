"""How the variance of one centred representation is shared out: over its features, and over its principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.similarity.gram import gram
from repdrift.similarity.representation import Representation


@dataclass(frozen=True)
class Eigenvalues:
    """What sums of the eigenvalues of the covariance say, without any of them."""

    total: float
    """Their sum."""
    squares: float
    """The sum of their squares."""

    @property
    def participation_ratio(self) -> float:
        """(sum)^2 / sum of squares: how many equal ones would be spread as much."""
        return self.total**2 / self.squares


def eigenvalues(representation: Representation) -> Eigenvalues:
    """Trace and squared Frobenius norm of the centred side's smaller product, n x n or p x p; n times too large. Shared."""
    rows = representation.centred if representation.n <= representation.p else representation.centred.T
    product = gram(rows)
    return Eigenvalues(float(product.diagonal().sum()), float(product.square_().sum()))


def singular_values(representation: Representation) -> Tensor:
    """Singular values of the centred side, descending: (min(n, p),). Shared.

    Of the triangular factor, which has the same ones: never roots of eigenvalues of a product, in which all below 1e-8 of
    the largest are lost.
    """
    tall = representation.centred if representation.n > representation.p else representation.centred.T
    return torch.linalg.svdvals(torch.linalg.qr(tall, mode="r").R)


def feature_squares(representation: Representation) -> Tensor:
    """n times the variance of each feature, as scaled: (p,). Shared."""
    return representation.centred.square().sum(dim=0)
