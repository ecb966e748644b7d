"""Words for what the operating system refused: the file, the reason, and the next step."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_AGAIN = "then run the same command again."
_FILE_IN_PLACE = "A file stands where the folder belongs: move it away, or choose another folder."
_FOLDER_IN_PLACE = "A folder stands where the file belongs: move it away."
_NEXT_STEPS = {
    errno.EISDIR: _FOLDER_IN_PLACE,
    errno.ENOTEMPTY: _FOLDER_IN_PLACE,
    errno.EEXIST: _FILE_IN_PLACE,
    errno.ENOTDIR: _FILE_IN_PLACE,
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "A link there leads back to itself: remove it.",
    errno.ENOENT: "A link there leads nowhere, or it was moved or removed meanwhile.",
    errno.EROFS: "The file system is read-only: choose another folder.",
    errno.ENOSPC: f"The disk is full: free some space, {_AGAIN}",
    errno.EDQUOT: f"The quota is used up: free some space, {_AGAIN}",
    errno.EFBIG: "The file is larger than the file system or `ulimit -f` allows: choose another folder.",
    errno.EMFILE: f"This process may open no more files: raise the limit with `ulimit -n 4096`, {_AGAIN}",
    errno.ENFILE: f"This machine may open no more files: close other programs, {_AGAIN}",
    errno.EIO: f"The disk or the network folder failed: check it, {_AGAIN}",
    errno.ESTALE: f"The network folder was changed or mounted anew: open the folder again, {_AGAIN}",
    errno.ETIMEDOUT: f"The network folder does not answer: check the connection, {_AGAIN}",
    errno.EBUSY: f"Another program holds it: close that program, {_AGAIN}",
    errno.ENXIO: "A file with data belongs there: move away what stands there, or name another file.",
}
"""By the system's error number, where reading and writing have the same remedy."""
_OF_READING = "Get the right to read it, or name a copy of your own."
_OF_WRITING = "Choose a folder you may write to."


def refused_reading(path: Path, error: OSError, next_step: str = "") -> str:
    """Says why `path` cannot be read. next_step: what to do where the reason does not tell it."""
    return f"{path} cannot be read: {_reason(path, error)}. {next_step_of_reading(error, next_step)}"


def next_step_of_reading(error: OSError, otherwise: str = "") -> str:
    """Says what to do about a file that cannot be read. otherwise: the step where the system's reason does not tell it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return _OF_READING
    if error.errno == errno.ENOENT and otherwise:
        return otherwise
    return _NEXT_STEPS.get(error.errno or 0, otherwise or f"Check the file, {_AGAIN}")


def refused_writing(path: Path, error: OSError) -> str:
    """Says why `path` cannot be written, and what to do."""
    return f"cannot write {path}: {_reason(path, error)}. {_NEXT_STEPS.get(error.errno or 0, _OF_WRITING)}"


def refused(error: OSError) -> str:
    """Says what was refused where it is not known whether the file was read or written."""
    named = named_file(error)
    step = next_step_of_using(error)
    if error.errno is None or named is None:
        lines = (error.strerror or str(error)).splitlines() or [type(error).__name__]
        return f"the system refused: {lines[0].rstrip('.')}. {step}"
    return f"cannot use {named}: {error.strerror}. {step}"


def named_file(error: OSError) -> Path | None:
    """The file that the system names; of two, such as in a move, the second. None if it names none."""
    named: object = error.filename2 or error.filename
    return Path(os.fsdecode(named)) if isinstance(named, (str, bytes)) else None


def next_step_of_using(error: OSError) -> str:
    """Says what to do about a file that may have been read or written."""
    return _NEXT_STEPS.get(error.errno or 0, f"Check that you may read and write it, {_AGAIN}")


def _reason(path: Path, error: OSError) -> str:
    named = named_file(error)
    return f"{error.strerror or error}{f' ({named})' if named is not None and named != path else ''}"
