"""Tables that lie beside results, read and held to the checksums that the results have of them."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pandas as pd

from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors


def read_table(path: Path, digest: str | None) -> pd.DataFrame:
    """Reads one table that was written with the results. digest: its SHA-256; None: not known. Raises DataError if it is missing, or is not that one."""
    again = "Run `repdrift analyze` to make it anew."
    with reading_errors(path, next_step=again):
        if not path.is_file():
            raise DataError(f"the table {path} that was written with the results is not there. {again}")
        content = path.read_bytes()
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{path} is not the table that was written with the results. {again}")
    try:
        return pd.read_parquet(BytesIO(content))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable table ({error}). {again}") from error
