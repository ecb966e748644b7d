"""Similarity of paired representations: arrays in, numbers out.

`measures()` lists the names, `measure(name)` gives one: `measure("cka")(x, y)`; `grid(layers_a, layers_b, measures)` has them for every two layers.
`descriptors()` and `descriptor(name)` are the same for numbers of a single representation.
"""

from repdrift.similarity.descriptor import Descriptor, descriptor, descriptors
from repdrift.similarity.grid import grid
from repdrift.similarity.inputs import Representation
from repdrift.similarity.left_out import jackknife_groups, left_out_values
from repdrift.similarity.measure import Interval, Measure, measure, measures
from repdrift.similarity.resampling import cka_resampled, resample_weights
from repdrift.similarity.side import Side

__all__ = [
    "Descriptor",
    "Interval",
    "Measure",
    "Representation",
    "Side",
    "cka_resampled",
    "descriptor",
    "descriptors",
    "grid",
    "jackknife_groups",
    "left_out_values",
    "measure",
    "measures",
    "resample_weights",
]
