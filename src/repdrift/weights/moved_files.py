"""Files that keep the change of the weights of one trained model beside a study: `weights.parquet`, and `weights.json`, written last.

The record is removed before the rows are replaced, so that a killed writer leaves no record beside other rows: what has no record
is measured anew.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from repdrift.core.atomic import storage_errors, write_together
from repdrift.core.errors import CorruptSetError, DataError
from repdrift.core.fingerprint import config_sha256, open_regular
from repdrift.core.parquet_table import parquet_bytes
from repdrift.core.progress import say
from repdrift.core.reading import reading_errors, stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.weights import ModelWeightsMoved, MovedWeightsFile
from repdrift.weights.moved_table import WEIGHTS_TABLE, moved_rows, moved_table, weights_in
from repdrift.weights.moved_weights import WeightOptions

RECORD = "weights.json"


def moved_key(
    base_digest: str, tuned_digest: str, options: WeightOptions, blocks: str | None = None, stack: str | None = None
) -> str:
    """Returns the hash of all that determines the numbers: both models' weights, the settings, and the version of the format."""
    settings: dict[str, Any] = {
        "format": MovedWeightsFile.model_fields["format_version"].default,
        "base": base_digest,
        "tuned": tuned_digest,
        "leading": options.leading,
        "intruder_cosine": options.intruder_cosine,
        "blocks": blocks,
        "stack": stack,
    }
    return config_sha256(settings)


def write_moved(folder: Path, key: str, found: ModelWeightsMoved) -> None:
    """Writes the rows and then the record, in place of those that are there. Raises StorageError."""
    content = parquet_bytes(moved_table(moved_rows({}, found), []))
    record = MovedWeightsFile(
        key=key,
        rows=len(found.weights),
        rows_sha256=hashlib.sha256(content).hexdigest(),
        leading=found.leading,
        intruder_cosine=found.intruder_cosine,
        not_compared=found.not_compared,
        notes=found.notes,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
    )
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).unlink(missing_ok=True)
    write_together(
        folder, {RECORD: record.file_text().encode(), WEIGHTS_TABLE: content}
    )  # the first takes its name last


def read_moved(folder: Path, key: str) -> ModelWeightsMoved | None:
    """Returns what was measured under this key, if its files are as they were written; None if there is nothing of use.

    Says so if files are there and cannot be used: of other weights or settings, or changed after they were written.
    """
    path = folder / RECORD
    if not stands_there(path):
        return None
    try:
        record = MovedWeightsFile.read(path)
        if record.key != key:
            say(f"{path} is of other weights or settings: measuring anew")
            return None
        return ModelWeightsMoved(
            leading=record.leading,
            intruder_cosine=record.intruder_cosine,
            weights=weights_in(_rows(folder, record)),
            not_compared=record.not_compared,
            notes=record.notes,
        )
    except (DataError, CorruptSetError) as error:
        say(f"{error} Measuring anew.")
        return None


def _rows(folder: Path, record: MovedWeightsFile) -> pd.DataFrame:
    path = folder / WEIGHTS_TABLE
    with reading_errors(path, CorruptSetError, ""):
        with open_regular(path) as stream:
            content = stream.read()
        is_intact = hashlib.sha256(content).hexdigest() == record.rows_sha256
        table = pd.read_parquet(io.BytesIO(content), page_checksum_verification=True) if is_intact else None
    if table is None or len(table) != record.rows:
        raise CorruptSetError(f"{path} was changed or damaged after it was written.")
    return table
