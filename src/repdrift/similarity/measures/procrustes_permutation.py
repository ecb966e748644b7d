"""Permutation Procrustes distance: how far samples lie apart once features are paired as well as they can be."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from repdrift.core.errors import ShapeError
from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import FEATURE_PERMUTATION, ISOTROPIC_SCALING, TRANSLATION, Measure, register
from repdrift.similarity.representation import Representation
from repdrift.similarity.subspaces.alignment import Shape, unit


@register
class PermutationProcrustes(Measure):
    """min over orders of features of ||XP - Y||_F, both sides centred and of Frobenius norm 1. Not squared.

    No signs are flipped, so that it may exceed sqrt(2). The best order is scipy's solution of the assignment problem,
    on the processor: torch has none. A distance below about 1e-7 is that of an order as good to rounding.
    """

    name = "procrustes_permutation"
    title = "Procrustes distance, features permuted"
    description = "Distance left after the best pairing of features, both sides centred and of norm 1; not squared."
    bounds = (0.0, 2.0)
    self_value = 0.0
    higher_is_similar = False
    same_width = True
    reference = "Williams et al. 2021; Li et al. 2015; assignment: Crouse 2016"
    streaming = "is measured on the rows themselves, matched"
    invariances = frozenset({ISOTROPIC_SCALING, TRANSLATION, FEATURE_PERMUTATION})
    cost = "n p to prepare; n p^2 + p^3 to compare"

    def derive(self, representation: Representation) -> Shape:
        """The shape, in the features' own coordinates."""
        return representation.shared(_features)

    def compare(self, x: Shape, y: Shape) -> float:
        """The distance, features free to change places. Raises ShapeError unless both have as many features."""
        require_paired(x.n, y.n)
        p, q = x.rows.shape[1], y.rows.shape[1]
        if p != q:
            raise ShapeError(f"{self.name} needs the same features on both sides, got {p} and {q}")
        products = (x.rows.T @ y.rows).cpu().numpy()
        order = torch.as_tensor(np.asarray(linear_sum_assignment(products, maximize=True)[1]), device=x.device)
        # Products tell nearly equal features apart to half the digits only; most often each is its own best match.
        return min(
            float(torch.linalg.vector_norm(x.rows - y.rows[:, order])),
            float(torch.linalg.vector_norm(x.rows - y.rows)),
        )


def _features(representation: Representation) -> Shape:
    return Shape(unit(representation.centred))
