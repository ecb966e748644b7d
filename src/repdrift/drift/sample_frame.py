"""The table of samples: one row per model, place and sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from repdrift.core.records.sample_moves import SAMPLE_COLUMNS


def sample_frame(
    run: Mapping[str, Any],
    ids: Sequence[str],
    facts: Mapping[str, Sequence[Any] | None],
    numbers: Mapping[str, Sequence[Any] | None],
) -> pd.DataFrame:
    """Rows of one model at one place, in SAMPLE_COLUMNS.

    run: task, method, seed, step, site and layer. facts: group, label and length of every sample. numbers: share, own_drift, cosine_change and
    stands_out. A list that is None or empty leaves its column empty.
    """
    n = len(ids)
    columns = {"sample": list(ids)} | {
        name: list(values) if values is not None and len(values) else [None] * n
        for name, values in {**facts, **numbers}.items()
    }
    frame = pd.DataFrame(
        {**{name: [value] * n for name, value in run.items()}, **columns}, columns=list(SAMPLE_COLUMNS)
    )
    types = {"seed": "Int64", "step": "Int64", "layer": "Int64", "length": "Int64", "stands_out": "bool"}
    texts = dict.fromkeys(("group", "label"), "string")
    reals = dict.fromkeys(("share", "own_drift", "cosine_change"), "float64")
    return frame.astype({**types, **texts, **reals})
