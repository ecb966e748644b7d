"""Exact one-pass drift between a base model and its tuned models: sums are kept, representations are not.

`PairedAccumulator` is the object to use. Beneath it, `init`, `update`, `merge` and `finalize` are plain functions of a state;
`to_dict` and `from_dict` take a state to a file and back. What the sums give is a `PairedResult`;
`measure(name).from_moments(result)` computes any measure that streams. Some do not: the centred cosine, for one, needs
the means before the first row.
"""

from repdrift.similarity.streaming.accumulator import PairedAccumulator
from repdrift.similarity.streaming.paired import PairedMoments, finalize, from_dict, init, merge, to_dict, update
from repdrift.similarity.streaming.result import PairedResult, Scatter, Variation

__all__ = [
    "PairedAccumulator",
    "PairedMoments",
    "PairedResult",
    "Scatter",
    "Variation",
    "finalize",
    "from_dict",
    "init",
    "merge",
    "to_dict",
    "update",
]
