"""What all records share: frozen, no unknown keys, read with a readable message."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from repdrift.core.atomic import write_text
from repdrift.core.errors import DataError
from repdrift.core.validation import validation_faults


class Record(BaseModel):
    """A versioned JSON file. Missing numbers are null, never a stand-in."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def write(self, path: Path) -> None:
        """Write to `path` as JSON, whole or not at all."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `path`. Raises DataError naming the file and every field that is wrong."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist") from error
        except ValidationError as error:
            faults = "; ".join(validation_faults(error, cls))
            raise DataError(f"{path} is not a valid {cls.__name__} file: {faults}") from error
