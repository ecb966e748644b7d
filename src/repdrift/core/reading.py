"""The boundary for reading: a file that the operating system does not give becomes an error that says what to do.

`core/atomic.py` is the boundary for writing. A test finds every place that reads a file outside of the two.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from repdrift.core.errors import DataError, RepdriftError, StorageError
from repdrift.core.refusals import refused_reading


@contextmanager
def reading_errors(path: Path, raises: type[RepdriftError] = DataError, next_step: str = "") -> Generator[None]:
    """Turn a refusal of the operating system inside the block into an error that names `path`.

    next_step: a sentence for the case that the system's reason does not tell what to do. Errors of our own pass.
    """
    try:
        yield
    except RepdriftError:
        raise
    except OSError as error:
        raise raises(refused_reading(path, error, next_step)) from error


def listed_folder(folder: Path) -> list[Path]:
    """Returns what lies in `folder`, sorted by name. Raises StorageError if it cannot be listed.

    `Path.glob` would leave out what may not be read, as if it were not there.
    """
    with reading_errors(folder, StorageError):
        return sorted(folder.iterdir())


def files_below(folder: Path) -> list[Path]:
    """Returns every file at any depth below `folder`, sorted. Raises StorageError if a folder there cannot be listed."""

    with reading_errors(folder, StorageError):
        walked = os.walk(folder, onerror=_refuse)
        return sorted(path for place, _, names in walked for name in names if (path := Path(place) / name).is_file())


def folders_below(folder: Path) -> list[Path]:
    """Returns `folder` and every folder at any depth below it, sorted. Raises StorageError if one cannot be listed."""
    with reading_errors(folder, StorageError):
        return sorted(Path(place) for place, _, _ in os.walk(folder, onerror=_refuse))


def _refuse(error: OSError) -> None:
    raise error


def stands_there(path: Path) -> bool:
    """Tells whether anything has this name, a link that leads nowhere included. Raises StorageError if that cannot be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(refused_reading(path, error)) from error
    return True


def why_absent(path: Path) -> str:
    """Says why no file or folder is found at `path`: nothing has the name, or a link there leads nowhere or to itself."""
    if not path.is_symlink():
        return "does not exist"
    try:
        path.stat()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return f"is a link to {path.readlink()}, which does not exist"
        return f"is a link that cannot be followed ({error.strerror})"
    return "does not exist"
