"""Similarity of paired representations: arrays in, numbers out.

`measures()` lists the names, `measure(name)` gives one: `measure("cka")(x, y)`.
"""

from repdrift.similarity.inputs import Representation
from repdrift.similarity.measure import Interval, Measure, measure, measures

__all__ = ["Interval", "Measure", "Representation", "measure", "measures"]
