"""Exact one-pass drift between a base model and its tuned models: sums are kept, representations are not.

`PairedAccumulator` is the face; beneath it `init`, `update`, `merge` and `finalize` are plain functions of moments.
The centred cosine is not here: each row's cosine depends on means that are known only at the end. It can be had from
rows, while the accumulator still holds them (`PairedResult.rows`), as can every registered measure.
"""

from repdrift.similarity.streaming.accumulator import KeepRows, PairedAccumulator
from repdrift.similarity.streaming.paired import (
    PairedMoments,
    finalize,
    from_dict,
    init,
    merge,
    moments_bytes,
    to_dict,
    update,
)
from repdrift.similarity.streaming.result import PairedResult, Spread

__all__ = [
    "KeepRows",
    "PairedAccumulator",
    "PairedMoments",
    "PairedResult",
    "Spread",
    "finalize",
    "from_dict",
    "init",
    "merge",
    "moments_bytes",
    "to_dict",
    "update",
]
