"""The base of all records: frozen, no unknown keys, JSON with a checksum of its content; and the versions that they hold."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from repdrift.core.atomic import write_text
from repdrift.core.errors import DataError
from repdrift.core.fingerprint import config_sha256, open_regular
from repdrift.core.hidden_secrets import shown
from repdrift.core.reading import reading_errors, why_absent
from repdrift.core.validation import validation_faults

CHECKSUM_KEY = "content_sha256"
"""Last entry of every record's file: the SHA-256 of all other entries."""

_VERBATIM = frozenset(
    {"key", "task", "task_kind", "tasks", "method", "methods", "class_labels", "hyperparameters", "sample_ids"}
)
"""Entries by which something is found or held against something else: they are written as they are."""

LARGEST_BYTES = 128 << 20
"""Far above a record of a million samples. To check a record takes about 24 times its size in memory."""

_REPORTED = ("repdrift", "torch", "transformers", "peft", "tokenizers", "numpy", "bitsandbytes")


class Record(BaseModel):
    """The content of a versioned JSON file. A missing number is null, never a stand-in. A file never holds a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def file_text(self) -> str:
        """Returns the text of the record's file: JSON, with a checksum of its content as the last entry."""
        content = shown(json.loads(self.model_dump_json()), _VERBATIM)
        content[CHECKSUM_KEY] = config_sha256(content)
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def without_secrets(self) -> Self:
        """Returns the record as its file has it."""
        return type(self).model_validate_json(json.dumps(shown(json.loads(self.model_dump_json()), _VERBATIM)))

    def write(self, path: Path) -> None:
        """Write the record to `path` as JSON, whole or not at all."""
        write_text(path, self.file_text())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from `path`. Raises DataError if it is absent or cannot be read, and as `parse` does."""
        with reading_errors(path):
            try:
                size = path.stat().st_size
                if size > LARGEST_BYTES:
                    raise DataError(
                        f"{path} has {size:,} bytes; a record has {LARGEST_BYTES:,} at most. Restore it from a copy."
                    )
                with open_regular(path) as stream:
                    text = stream.read()
            except FileNotFoundError as error:
                raise DataError(f"{path} {why_absent(path)}") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: bytes, where: str) -> Self:
        """Returns the record in the text of a file. where: the file's name, for messages.

        Raises DataError that names the file and every field that is wrong, or if the content does not have the checksum
        that stands in the file. A file without a checksum, written by an older version, is taken as it is.
        """
        try:
            content: Any = json.loads(text)
            entries = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
            expected = entries.pop(CHECKSUM_KEY, None)
            actual = None if expected is None else config_sha256(entries)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not a valid {cls.__name__} file: Invalid JSON ({error})") from error
        if actual != expected:
            raise DataError(
                f"{where} was changed or damaged after it was written: its content does not have its checksum. "
                "Restore it from a copy, or run the command that wrote it again."
            )
        try:
            return cls.model_validate_json(json.dumps(content))
        except ValidationError as error:
            faults = "; ".join(validation_faults(error, cls))
            raise DataError(f"{where} is not a valid {cls.__name__} file: {faults}") from error


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that can change a number, by package name, without absent packages."""
    found: dict[str, str] = {}
    for package in _REPORTED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
