"""The file that keeps what was read from the first tokens of general text for one trained model: `first_tokens.json`, with a checksum of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import DataError, StorageError
from repdrift.core.progress import say
from repdrift.core.reading import stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.first_tokens import FirstTokensFile, ModelFirstTokens

RECORD = "first_tokens.json"


def read_kept(folder: Path, key: str) -> ModelFirstTokens | None:
    """Returns what was read under this key, if its file is as it was written; None if there is nothing of use. Says so if there is a file without use."""
    path = folder / RECORD
    if not stands_there(path):
        return None
    try:
        record = FirstTokensFile.read(path)
    except DataError as error:
        say(f"{error} Reading the first tokens anew.")
        return None
    if record.key != key:
        say(f"{path} is of other weights, texts or settings: reading the first tokens anew")
        return None
    return record.found


def keep(folder: Path, key: str, found: ModelFirstTokens, seconds: float) -> None:
    """Writes the file in place of the one that is there. Where it cannot be written, it says so: the next analysis reads the tokens anew."""
    record = FirstTokensFile(
        key=key,
        found=found,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        wall_time_s=round(seconds, 2),
    )
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        record.write(folder / RECORD)
    except StorageError as error:  # the numbers are there all the same
        say(f"{error} The next analysis reads these first tokens anew.")
