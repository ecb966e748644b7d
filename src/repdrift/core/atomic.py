"""Files that are written whole or not at all: under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from repdrift.core.errors import RepdriftError, StorageError
from repdrift.core.refusals import refused_writing
from repdrift.core.temporary_file import temporary_beside

_FULL_BELOW_BYTES = 1 << 15
"""Free space below which the disk counts as full. A writer that ran out of space leaves only a few blocks free."""


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it to `path`, else remove it.

    Temporary files that killed processes left for this path are removed; those of living ones are not.
    Raises StorageError if the disk is full or the folder cannot be written; `path` is then as it was before.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            try:
                yield temporary
                flush(temporary)
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
                flush(path.parent)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise


def write_together(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write `files` (name: content) to `folder`, all or none; returns their paths.

    No file takes its name before all of them are on the disk. The first file of `files` takes its name last: a reader who
    finds it finds the others too. Raises StorageError; the old files are then still as they were.
    """
    with ExitStack() as stack:
        paths = {name: stack.enter_context(atomic_path(folder / name)) for name in files}  # left in reverse order
        for name, content in files.items():
            with storage_errors(folder / name):
                paths[name].write_bytes(content)
    return [folder / name for name in files]


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_writable(folder: Path) -> None:
    """Checks that files can be written to `folder`, before hours of work are lost by it; what was made for that is removed.

    Raises StorageError if the folder cannot be made or takes no file.
    """
    with storage_errors(folder):
        absent = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        finally:
            with suppress(OSError):  # one that holds something by now stays
                for path in absent:
                    path.rmdir()


@contextmanager
def storage_errors(path: Path) -> Generator[None]:
    """Turn an operating-system fault while writing `path` into a StorageError that names it."""
    try:
        yield
    except RepdriftError:
        raise
    except Exception as error:
        if is_no_space(path, error):
            raise StorageError(
                f"no space left while writing {path}: nothing was replaced. "
                "Free some space or choose another folder, then run the same command again."
            ) from error
        if isinstance(error, OSError):
            raise StorageError(refused_writing(path, error)) from error
        raise


def is_no_space(path: Path, error: Exception) -> bool:
    """Tells whether `path` could not be written because the disk is full or the quota used up."""
    number = getattr(error, "errno", None)
    if number is not None:
        return number in (errno.ENOSPC, errno.EDQUOT)
    # torch and safetensors report a full disk as errors of their own, without an errno. safetensors repeats the
    # system's words and removes its half file. torch says nothing of use but leaves the disk full, so that is checked.
    return "No space left" in str(error) or _is_full(path)


def _is_full(path: Path) -> bool:
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    return shutil.disk_usage(folder).free < _FULL_BELOW_BYTES


def flush(path: Path) -> None:
    """Have the content of a file, or the names in a folder, written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
