"""The files of one kind of outcome of one run: `NAME.parquet` with the items, and the record `NAME.json`, written last.

A record is removed before its items are replaced, so that a killed writer leaves no record beside other items: what has no
record is measured anew. Both files are written under a temporary name and renamed.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from repdrift.core.atomic import atomic_path, storage_errors, write_together
from repdrift.core.errors import CorruptSetError, DataError
from repdrift.core.fingerprint import open_regular
from repdrift.core.parquet_table import parquet_bytes
from repdrift.core.progress import say
from repdrift.core.reading import reading_errors, stands_there
from repdrift.core.records.outcomes import ITEM_COLUMNS, RunOutcomes
from repdrift.outcomes.outcome import MeasuredItems, Subject

_TEXTS = ("task", "method", "outcome", "inputs", "item", "group")
_NUMBERS = ("value", "base_value", "weight")


def record_path(folder: Path, name: str) -> Path:
    """Returns the path of the record of one kind of outcome."""
    return folder / f"{name}.json"


def items_path(folder: Path, name: str) -> Path:
    """Returns the path of its items."""
    return folder / f"{name}.parquet"


def items_table(subject: Subject, measured: Sequence[MeasuredItems]) -> pd.DataFrame:
    """Returns the items of one trained model in the columns of ITEM_COLUMNS."""
    parts = [
        pd.DataFrame(
            {
                "task": subject.task,
                "method": subject.method,
                "seed": subject.seed,
                "step": subject.step,
                "outcome": items.info.name,
                "inputs": items.inputs,
                "layer": pd.array([items.layer] * len(items.ids), dtype="Int64"),
                "item": list(items.ids),
                "group": [""] * len(items.ids) if items.groups is None else list(items.groups),
                "value": items.values,
                "base_value": np.full(len(items.ids), np.nan) if items.base_values is None else items.base_values,
                "weight": np.ones(len(items.ids)) if items.weights is None else items.weights,
            }
        )
        for items in measured
    ]
    return pd.concat(parts, ignore_index=True)[list(ITEM_COLUMNS)] if parts else no_items()


def no_items() -> pd.DataFrame:
    """Returns a table of items with no rows."""
    empty = pd.DataFrame({name: [] for name in ITEM_COLUMNS})
    return empty.astype(
        {
            **dict.fromkeys(_TEXTS, "object"),
            **dict.fromkeys(_NUMBERS, "float64"),
            "seed": "int64",
            "step": "int64",
            "layer": "Int64",
        }
    )


def write_items(folder: Path, record: RunOutcomes, items: pd.DataFrame) -> RunOutcomes:
    """Write the items and then the record, in place of those that are there; returns the record as written.

    No file is written for no items. Raises StorageError; what is in the folder is then never taken for finished.
    """
    at, record_at = items_path(folder, record.name), record_path(folder, record.name)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        record_at.unlink(missing_ok=True)
        if items.empty:
            at.unlink(missing_ok=True)
    content = parquet_bytes(items) if not items.empty else None
    digest = hashlib.sha256(content).hexdigest() if content is not None else None
    written = record.model_copy(update={"n_items": len(items), "items_sha256": digest})
    if content is not None:
        with atomic_path(at) as temporary:
            temporary.write_bytes(content)
    write_together(folder, {record_at.name: written.file_text().encode()})
    return written


def existing_items(folder: Path, name: str, key: str) -> RunOutcomes | None:
    """Returns the record of finished outcomes of this key whose items are as they were written; None if there are none.

    Says so if they are there and cannot be used: other weights, samples or options, or a file that was changed.
    """
    path = record_path(folder, name)
    if not stands_there(path):
        return None
    try:
        record = RunOutcomes.read(path)
        if (record.name, record.key) != (name, key):
            say(f"{path} is of other weights, samples or options: measuring anew")
            return None
        read_items(folder, record)
    except (DataError, CorruptSetError) as error:
        say(f"{error} Measuring anew.")
        return None
    return record


def read_items(folder: Path, record: RunOutcomes) -> pd.DataFrame:
    """Read the items that belong to a record. Raises CorruptSetError if the file is absent or not what was written."""
    if record.items_sha256 is None:
        return no_items()
    path = items_path(folder, record.name)
    step = "Run `repdrift evaluate` again: it measures them anew."
    with reading_errors(path, CorruptSetError, step):
        with open_regular(path) as stream:
            content = stream.read()
        is_intact = hashlib.sha256(content).hexdigest() == record.items_sha256
        table = pd.read_parquet(io.BytesIO(content), page_checksum_verification=True) if is_intact else None
    if table is None:
        raise CorruptSetError(
            f"{path} was changed or damaged after it was written: it does not have the checksum in {record_path(folder, record.name).name}. {step}"
        )
    if list(table.columns) != list(ITEM_COLUMNS) or len(table) != record.n_items:
        raise CorruptSetError(f"{path} does not hold the {record.n_items} items that its record names. {step}")
    return table
