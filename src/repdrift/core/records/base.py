"""The base of all records: frozen, no unknown keys, read and written as JSON; and the versions that they hold."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from repdrift.core.atomic import write_text
from repdrift.core.errors import DataError
from repdrift.core.validation import validation_faults

_REPORTED = ("repdrift", "torch", "transformers", "peft", "tokenizers", "numpy")


class Record(BaseModel):
    """The content of a versioned JSON file. A missing number is null, never a stand-in."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def write(self, path: Path) -> None:
        """Write the record to `path` as JSON, whole or not at all."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record from `path`. Raises DataError that names the file and every field that is wrong."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist") from error
        except ValidationError as error:
            faults = "; ".join(validation_faults(error, cls))
            raise DataError(f"{path} is not a valid {cls.__name__} file: {faults}") from error


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that can change a number, by package name, without absent packages."""
    found: dict[str, str] = {}
    for package in _REPORTED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
