"""Leading singular subspaces of a change, left and right: from the factors of an adapter alone, or from the whole matrix.

The leading vectors are those that carry 90 % of the squared norm: what lies behind them is, of a change of low rank, rounding of the files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from repdrift.weights.changed_matrix import ChangedMatrix
from repdrift.weights.gram_spectrum import FloatArray, GramSpectrum, columns_of
from repdrift.weights.spectrum import frobenius_norm

CARRIED = 0.9
"""Share of the squared norm that the leading vectors carry."""


@dataclass(frozen=True)
class LeadingSubspaces:
    """The leading left and right singular vectors of one change, as columns: left (d_out, k), right (d_in, k); k may be 0."""

    left: FloatArray
    right: FloatArray

    @property
    def k(self) -> int:
        """The number of vectors."""
        return int(self.left.shape[1])


@dataclass(frozen=True)
class SubspaceLikeness:
    """Likeness of two subspaces of k dimensions on each side: the mean squared cosine of their principal angles, in [0, 1].

    It is ||U_k' V_k||_F^2 / k; two subspaces drawn at random in d dimensions have k / d on average. None where k is all of the space.
    angle: the smallest principal angle in degrees.
    """

    left: float | None
    right: float | None
    left_chance: float
    right_chance: float
    left_angle: float | None
    right_angle: float | None


def leading_subspaces(at: ChangedMatrix, k: int) -> LeadingSubspaces:
    """Returns the singular subspaces that carry 90 % of a change, of k dimensions at most. Raises NonFiniteError if it holds NaN or Inf."""
    if at.factors is not None:
        return _of_factors(at.factors.b.numpy(), at.factors.a.numpy(), k)
    change = at.change()
    size = frobenius_norm(change)
    if size == 0.0:
        return LeadingSubspaces(np.zeros((change.shape[0], 0)), np.zeros((change.shape[1], 0)))
    tall = change.shape[0] > change.shape[1]
    spectrum = GramSpectrum(columns_of(change.T if tall else change, size))
    leading = spectrum.leading(k)
    leading = leading.first(_carrying(leading.values, spectrum.squared_norm))
    return LeadingSubspaces(leading.long, leading.short) if tall else LeadingSubspaces(leading.short, leading.long)


def subspace_likeness(one: LeadingSubspaces, other: LeadingSubspaces) -> SubspaceLikeness | None:
    """Compares the leading subspaces of two changes, of as many dimensions as both have; None if one has none."""
    k = min(one.k, other.k)
    if k == 0:
        return None
    left, left_angle = _overlap(one.left[:, :k], other.left[:, :k])
    right, right_angle = _overlap(one.right[:, :k], other.right[:, :k])
    return SubspaceLikeness(left, right, k / one.left.shape[0], k / one.right.shape[0], left_angle, right_angle)


def _of_factors(b: FloatArray, a: FloatArray, k: int) -> LeadingSubspaces:
    """The singular vectors of B A = Q_B (R_B R_A') Q_A', from a small matrix of rank x rank."""
    q_b, r_b = np.linalg.qr(b)
    q_a, r_a = np.linalg.qr(a.T)
    u, values, vt = np.linalg.svd(r_b @ r_a.T)
    kept = min(k, _carrying(values, float(np.square(values).sum())))
    return LeadingSubspaces(q_b @ u[:, :kept], q_a @ vt[:kept].T)


def _carrying(values: FloatArray, total: float) -> int:
    """The fewest leading values that carry CARRIED of the squared norm, or all of them where they carry less."""
    if total == 0.0:
        return 0
    return min(len(values), int(np.searchsorted(np.cumsum(np.square(values)), CARRIED * total * (1 - 1e-12))) + 1)


def _overlap(one: FloatArray, other: FloatArray) -> tuple[float | None, float | None]:
    size, k = one.shape
    if k == size:
        return None, None
    product = torch.from_numpy(np.ascontiguousarray(one.T @ other))
    cosines = torch.linalg.svdvals(product).clamp(max=1.0)
    return float(cosines.square().mean()), float(torch.rad2deg(torch.arccos(cosines[0])))
