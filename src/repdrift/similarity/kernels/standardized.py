"""Representations whose features all have variance 1, and their linear kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdrift.core.errors import DegenerateInputError
from repdrift.similarity.gram import centred_single, gram_of_single
from repdrift.similarity.kernels.hsic import Kernel, gram_kernel, kernel_of_rows, uncancelled
from repdrift.similarity.representation import Representation

_CONSTANT = 1e-13
"""A standard deviation below this share of the values is what rounding leaves of equal values."""

_SINGLE = (1e-30, 1e30)
"""If the largest deviation of a feature lies between these, float32 holds it and its rounding with all digits."""


def standardized(representation: Representation) -> Tensor:
    """The representation (n, p) in float64, every feature of mean 0 and variance 1 (divided by n); 0 if it does not vary.

    Raises DegenerateInputError if no feature varies by more than rounding.
    """
    deviations = representation.centred
    largest = deviations.abs().amax(dim=0)
    return _to_unit_variance(representation.scaled, deviations, largest)


def standardized_kernel(representation: Representation) -> Kernel:
    """The linear kernel of standardised features, of float32 products where they are good enough and pay. Shared.

    Raises DegenerateInputError if no feature varies by more than rounding.
    """
    single = gram_of_single(representation, _standardized_single)
    if single is None:
        return kernel_of_rows(standardized(representation))
    return gram_kernel(single)


def unbiased_standardized_kernel(representation: Representation) -> Kernel:
    """The kernel of standardised features for unbiased HSIC only, with all its digits (`uncancelled`). Shared."""
    return uncancelled(representation.shared(standardized_kernel), lambda: standardized(representation))


def _standardized_single(representation: Representation) -> Tensor | None:
    deviations = centred_single(representation)
    largest = deviations.abs().amax(dim=0)
    low, high = _SINGLE
    if not bool(((largest == 0) | ((largest >= low) & (largest <= high))).all()):
        return None
    return _to_unit_variance(representation.given, deviations, largest)


def _to_unit_variance(x: Tensor, deviations: Tensor, largest: Tensor) -> Tensor:
    """Divide `deviations` of x from its means (n, p) by their root mean square. largest: (p,), of each feature."""
    low, high = torch.aminmax(x, dim=0)
    rows = deviations / torch.where(largest > 0, largest, 1.0)  # squares of the smallest features stay in range
    spread = torch.linalg.vector_norm(rows, dim=0, dtype=torch.float64) / math.sqrt(x.shape[0])
    size = torch.maximum(low.abs(), high.abs())
    varies = (low < high) & (largest * spread > _CONSTANT * size.to(torch.float64))
    if not bool(varies.any()):
        raise DegenerateInputError(
            f"no feature of the {x.shape[0]} samples varies by more than rounding: scaled to variance 1 it is undefined"
        )
    return rows.mul_(torch.where(varies, spread.reciprocal(), 0.0).to(rows.dtype))
