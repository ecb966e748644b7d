"""Tables of the change of weights: one row for each weight of each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from repdrift.core.records.weights import ModelWeightsMoved, WeightMoved

WEIGHTS_TABLE = "weights.parquet"
_WHOLE = ("layer", "outputs", "inputs", "rank_90", "adapter_rank", "k", "intruders", "leading", "seed", "step")
_TEXT = ("kind", "module", "note")
_OPTIONS = ("leading", "intruder_cosine")


def moved_rows(named: dict[str, Any], found: ModelWeightsMoved) -> list[dict[str, Any]]:
    """Returns the rows of one model. named: the columns that say which one it is."""
    options = {"leading": found.leading, "intruder_cosine": found.intruder_cosine}
    return [{**named, **at.model_dump(), **options} for at in found.weights]


def moved_table(rows: Sequence[dict[str, Any]], named: Sequence[str]) -> pd.DataFrame:
    """Returns rows as a table whose whole numbers may be missing. named: the first columns."""
    table = pd.DataFrame(list(rows), columns=[*named, *WeightMoved.model_fields, *_OPTIONS])
    types = {**dict.fromkeys(_WHOLE, "Int64"), **dict.fromkeys(_TEXT, "object")}
    real = [name for name in WeightMoved.model_fields if name not in types]
    types |= dict.fromkeys(real, "float64")
    return table.astype({name: kind for name, kind in types.items() if name in table.columns})


def weights_in(table: pd.DataFrame) -> list[WeightMoved]:
    """Returns the records in the rows of a table of one model. Raises pydantic's ValidationError if they are none."""
    fields = list(WeightMoved.model_fields)
    rows: list[dict[str, Any]] = table[fields].astype("object").to_dict("records")  # pyright: ignore[reportAssignmentType]
    return [WeightMoved.model_validate({k: None if pd.isna(v) else v for k, v in row.items()}) for row in rows]
