"""Tables as parquet files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """Returns a table as the bytes of a parquet file, with a checksum of each page; the same table gives the same bytes."""
    stream = io.BytesIO()
    table.to_parquet(stream, index=False, write_page_checksum=True)
    return stream.getvalue()
