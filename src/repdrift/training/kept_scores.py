"""Scores of every row, kept beside run.json as training computed them, so that nobody has to score the saved model once more."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from repdrift.core.atomic import atomic_path
from repdrift.core.fingerprint import config_sha256, open_regular
from repdrift.core.parquet_table import parquet_bytes
from repdrift.core.progress import say
from repdrift.core.reading import reading_errors, stands_there
from repdrift.core.records.run import ROW_SCORES_FILE, RUN_FILE, RunRecord
from repdrift.core.row_scores import RowScores
from repdrift.models import ModelSource, tokenizer_digests
from repdrift.tasks import Rows, TaskSpec, rows_in_use
from repdrift.tasks.group_names import groups_of
from repdrift.training.scores import Scored

_COLUMNS = ("step", "score", "row", "group", "value", "weight", "base_value")


@dataclass(frozen=True)
class KeptScores:
    """The scores of one saved model over n rows, as training computed them. scores: the primary one among them."""

    ids: tuple[str, ...]
    groups: tuple[str, ...] | None
    scores: tuple[RowScores, ...]


def scored_on(
    spec: TaskSpec, base: ModelSource, validation: Rows, limit: int | None, record: RunRecord, step: int
) -> str:
    """The SHA-256 of all that determines a model's scores beside its weights: rows, and how inputs are made of them.

    validation: all evaluation rows, of which at most `limit` are scored. record, step: the run, and its checkpoint; 0 is the final model.
    """
    used = rows_in_use(spec, validation, limit)
    groups = groups_of(spec, used.rows)
    return config_sha256(
        {
            "format": 2,  # 1: runs in mixed precision were scored in it
            "all_rows": validation.fingerprint,
            "rows": used.fingerprint,
            "groups": None if groups is None else list(groups),
            "classes": record.class_labels,
            # The null threshold of a checkpoint was chosen on training rows.
            "chosen_on": record.data_fingerprint if step and spec.kind == "extractive_qa" else None,
            "how": {
                name: record.hyperparameters.get(name)
                for name in ("max_length_used", "null_threshold", "doc_stride", "null_threshold_share")
            },
            "scores": spec.continuation.for_scores(),
            "tokenizer": tokenizer_digests(base),
        }
    )


def keep_row_scores(folder: Path, ids: Sequence[str], scored: Mapping[int, Scored]) -> str | None:
    """Write the scores of a run's models to its folder; returns the file's SHA-256, or None if no row has a score by itself.

    ids: of the n rows. scored: by step, 0 for the final model. Raises StorageError if the file cannot be written.
    """
    parts = [
        pd.DataFrame(
            {
                "step": np.full(len(ids), step, dtype=np.int64),
                "score": [score.name] * len(ids),
                "row": list(ids),
                "group": [None] * len(ids) if of_model.groups is None else list(of_model.groups),
                "value": score.values,
                "weight": _or_none(score.weights, len(ids)),
                "base_value": _or_none(score.base_values, len(ids)),
            }
        )
        for step, of_model in scored.items()
        for score in of_model.of_rows
    ]
    if not parts:
        return None
    content = parquet_bytes(pd.concat([part.astype({"group": "string"}) for part in parts], ignore_index=True))
    with atomic_path(folder / ROW_SCORES_FILE) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def kept_scores(folder: Path, record: RunRecord, step: int, wanted: str) -> KeptScores | None:
    """The scores of a run's model after `step` (0: the final one), if they were computed on what `wanted` says, see `scored_on`.

    None for runs of older versions, for other rows, and for a file that is absent or was changed, which is said.
    """
    if record.row_scores_sha256 is None or record.row_scores_of.get(step) != wanted:
        return None
    table = _read(folder / ROW_SCORES_FILE, record.row_scores_sha256)
    rows = None if table is None else table[table["step"] == step]
    if rows is None or rows.empty:
        return None
    names = list(dict.fromkeys(rows["score"]))
    of_name = {name: rows[rows["score"] == name] for name in names}
    first = of_name[names[0]]
    return KeptScores(
        tuple(first["row"]),
        None if first["group"].isna().all() else tuple(first["group"]),
        tuple(
            RowScores(name, _floats(part, "value"), _some(part, "weight"), _some(part, "base_value"))
            for name, part in of_name.items()
        ),
    )


def _read(path: Path, expected: str) -> pd.DataFrame | None:
    if not stands_there(path):
        say(f"{path} is not there, which {RUN_FILE} names: the saved model is scored again")
        return None
    with reading_errors(path):
        with open_regular(path) as stream:
            content = stream.read()
        if hashlib.sha256(content).hexdigest() != expected:
            say(f"{path} was changed or damaged after training: the saved model is scored again")
            return None
        table = pd.read_parquet(io.BytesIO(content), page_checksum_verification=True)
    return table if list(table.columns) == list(_COLUMNS) else None


def _or_none(values: np.ndarray | None, n: int) -> np.ndarray:
    return np.full(n, np.nan) if values is None else np.asarray(values, dtype=np.float64)


def _floats(table: pd.DataFrame, column: str) -> np.ndarray:
    return table[column].to_numpy(dtype=np.float64)


def _some(table: pd.DataFrame, column: str) -> np.ndarray | None:
    values = _floats(table, column)
    return None if np.isnan(values).all() else values
