"""System calls on payload files; a full disk becomes an error that says how many bytes are missing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import StorageError

_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_BLOCK_BYTES = 512
"""The unit of st_blocks."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn a system error while a batch is written to `path` into a StorageError that says what is kept."""
    with storage_errors(path):
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise StorageError(
                f"no space left while writing {path}: the batches written before are kept. "
                "Free some space, then run the same command again: it goes on from there."
            ) from error


def reserve(descriptor: int, size: int) -> None:
    """Make the file `size` bytes long, and reserve the space on the disk where the file system can.

    Data that is in the file already stays. Raises OSError (ENOSPC) if there is not enough space.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        os.ftruncate(descriptor, size)
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        os.ftruncate(descriptor, size)


def not_enough_space(folder: Path, needed: int, free: int, *, quota: bool = False) -> StorageError:
    """Make the error for files that need `needed` bytes in `folder`, where only `free` bytes were free."""
    limit = "the quota" if quota else "the disk"
    return StorageError(
        f"the representations take {needed:,} bytes ({needed / 1e9:.2f} GB) in {folder}; {limit} leaves "
        f"{free:,} ({free / 1e9:.2f} GB). Free some space, take fewer layers or samples, or choose another folder."
    )


def is_full(error: OSError) -> bool:
    """Tell whether the error means that no space is left, on the disk or in the quota."""
    return error.errno in _FULL


def is_quota(error: OSError) -> bool:
    """Tell whether the error means that the quota is used up."""
    return error.errno == errno.EDQUOT


def space_taken(path: Path) -> int:
    """Bytes that a file takes on the disk; fewer than its length if it has holes."""
    return path.stat().st_blocks * _BLOCK_BYTES


def free_bytes(folder: Path) -> int:
    """Bytes that can still be written to `folder`."""
    return shutil.disk_usage(folder).free


def write_at(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def read_into(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill `buffer` from the file, from `offset` on; returns the bytes read, fewer only at the end of the file."""
    done = 0
    while done < len(buffer):
        count = os.preadv(descriptor, [buffer[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done


def sync_folder(folder: Path) -> None:
    """Flush the list of names in `folder`, so that new and moved files last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
