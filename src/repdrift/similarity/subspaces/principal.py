"""Principal components of one representation; CCA, regression, GULP and the shape metric are computed from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.representation import Representation

_EPSILON = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Principal:
    """A centred representation (n, p) of rank r as U diag(s) V', without V.

    u: (n, r) with orthonormal columns, each centred. s: (r,) singular values, descending, all above rounding.
    U diag(s) has the same Gram matrix as the centred rows, and stands for them wherever a rotation changes nothing.
    """

    u: Tensor
    s: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.u.shape[0])

    @property
    def device(self) -> torch.device:
        """Device that they lie on."""
        return self.u.device

    @property
    def rank(self) -> int:
        """Number of components."""
        return int(self.s.shape[0])

    def permuted(self, order: Tensor) -> Principal:
        """Put the samples in another order."""
        return Principal(self.u[order], self.s)

    def leading(self, share: float) -> Principal:
        """Keep the fewest leading components that hold at least this share of the variance."""
        kept = leading_count(self.s.square(), share)
        return Principal(self.u[:, :kept].contiguous(), self.s[:kept])  # no view: that would keep all of them alive


def leading_count(variances: Tensor, share: float) -> int:
    """Fewest variances, of (r,) descending ones, that hold at least this share of their sum."""
    left = variances.flip(0).cumsum(0).flip(0)  # each one plus all after it; summed from the small end
    return int((left > (1 - share) * left[0]).sum())


def principal(representation: Representation) -> Principal:
    """All components of a representation that stand out of rounding. Shared.

    Rounding is that of the decomposition, eps max(n, p) s_1, plus that of the values as they were given, at most
    eps ||X||_F: an offset of 1e4 leaves 12 digits. Raises DegenerateInputError if nothing stands out.
    """
    x = representation.centred
    n, p = x.shape
    # R' of X' = QR has the same left singular vectors and values as X, and is n x n.
    table = torch.linalg.qr(x.T, mode="r").R.T if n < p else x
    u, s, _ = torch.linalg.svd(table, full_matrices=False)
    noise = _EPSILON * (max(n, p) * s[0] + torch.linalg.vector_norm(representation.scaled))
    rank = min(int((s > noise).sum()), n - 1)
    if rank == 0:
        raise DegenerateInputError(f"the {n} samples differ by no more than rounding: similarity is undefined")
    return Principal(u[:, :rank].contiguous(), s[:rank])
