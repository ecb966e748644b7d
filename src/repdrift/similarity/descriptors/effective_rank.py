"""Effective rank: how many directions the singular values are spread over."""

from __future__ import annotations

import math

import torch

from repdrift.similarity.descriptor import Descriptor, register
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, ORTHOGONAL, TRANSLATION
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.spectrum import singular_values


@register
class EffectiveRank(Descriptor):
    """exp of the entropy of the singular values, as shares of their sum.

    Departs from the source in centring the representation first.
    """

    name = "effective_rank"
    title = "effective rank"
    description = "exp of the entropy of the centred singular values' shares; from 1 to the rank."
    bounds = (1.0, math.inf)
    reference = "Roy and Vetterli 2007"
    invariances = frozenset({ORTHOGONAL, ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p min(n, p)"
    needs_variation = True

    def describe(self, representation: Representation) -> float:
        """From the singular values."""
        values = representation.shared(singular_values)
        return math.exp(float(torch.special.entr(values / values.sum()).sum()))
