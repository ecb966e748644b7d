"""Similarity of paired representations: arrays in, numbers out.

`measures()` lists the names, `measure(name)` gives one: `measure("cka")(x, y)`; `grid(layers_a, layers_b, measures)` has them for every two layers.
"""

from repdrift.similarity.grid import grid
from repdrift.similarity.inputs import Representation
from repdrift.similarity.measure import Interval, Measure, measure, measures
from repdrift.similarity.side import Side

__all__ = ["Interval", "Measure", "Representation", "Side", "grid", "measure", "measures"]
