"""The tests of many layers at once that the report quotes: the least corrected p of a layer without a difference."""

from __future__ import annotations

import numpy as np

from benchmarks.calibration.models import Floats, Study
from benchmarks.calibration.procedures import Outcome, Procedure, Reported
from repdrift.statistics import (
    base_distance_layers,
    benjamini_hochberg,
    cluster_test,
    holm,
    max_t_test,
)

POINTS = 20
"""The dimensions of the space in which the models of a stratum lie, for tests of distances."""


def _alike(study: Study) -> np.ndarray:
    return np.broadcast_to(np.asarray(study.ratio, dtype=float), (study.layers,)) == 1


def families(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    """The least corrected p of a layer without a difference, by max-T and Holm, and the share of false ones among those found."""
    found = max_t_test(b, a, strata=study.swapped, n_permutations=study.permutations, seed=seed)
    alike = _alike(study)
    discovered = benjamini_hochberg(found.pvalue) <= 0.05 * (1 + 1e-9)
    return (
        float(found.single_step[alike].min()),
        float(found.step_down[alike].min()),
        float(holm(found.pvalue)[alike].min()),
        float((discovered & alike).sum() / max(1, discovered.sum())),
    )


def clusters(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    """The least p of a cluster; 1 if there is none."""
    found = cluster_test(b, a, strata=study.swapped, n_permutations=study.permutations, seed=seed)
    return (min((c.pvalue for c in found.clusters), default=1.0),)


def _base_distance(study: Study, a: Floats, b: Floats, seed: int) -> tuple[Outcome, ...]:
    """Base and trained models are scattered alike: the base model is like one more seed."""
    del a, b
    generator = np.random.default_rng([seed, 2])
    distances = []
    for _ in range(study.tasks):
        shared = generator.standard_normal((study.models[0] + 1, POINTS))
        points = 0.9 * shared + 0.4 * generator.standard_normal((study.layers, *shared.shape))
        distances.append(np.square(points[:, :, None] - points[:, None, :]).sum(axis=-1))
    found = base_distance_layers(distances, n_permutations=study.permutations, seed=seed)
    return float(found.step_down.min()), float(found.pvalue[0])


FAMILIES = Procedure(
    (
        Reported("max_t_test, single step: any false layer", label_test=True),
        Reported("max_t_test, step-down: any false layer", label_test=True),
        Reported("holm: any false layer"),
        Reported("benjamini_hochberg: share of false layers", is_share=True),
    ),
    families,
)
CLUSTER = Procedure((Reported("cluster_test: any cluster", label_test=True),), clusters)
BASE_DISTANCE = Procedure(
    (Reported("base_distance_layers, step-down: any layer"), Reported("base_distance_test, one layer")), _base_distance
)
