"""Similarity of paired representations: arrays in, numbers out.

`measures()` lists the names and `measure(name)` gives one: `measure("cka")(x, y)`. `grid(layers_a, layers_b, measures)`
compares every layer with every layer. `descriptors()` and `descriptor(name)` do likewise for numbers of one representation.
"""

from repdrift.core.confidence import Interval
from repdrift.similarity.arrays import Array
from repdrift.similarity.catalogue import descriptor, descriptors, measure, measures
from repdrift.similarity.descriptor import Descriptor
from repdrift.similarity.grid import grid
from repdrift.similarity.measure import Measure
from repdrift.similarity.representation import Representation
from repdrift.similarity.uncertainty.delete_group import delete_group_values, jackknife_groups
from repdrift.similarity.uncertainty.resampling import cka_resampled, resample_weights

__all__ = [
    "Array",
    "Descriptor",
    "Interval",
    "Measure",
    "Representation",
    "cka_resampled",
    "delete_group_values",
    "descriptor",
    "descriptors",
    "grid",
    "jackknife_groups",
    "measure",
    "measures",
    "resample_weights",
]
