"""Records that are read once in a process for as long as their files stay the same, however often a study looks at them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar, cast

from repdrift.core.fingerprint import FileStamp, open_regular
from repdrift.core.records.base import Record

R = TypeVar("R", bound=Record)

_kept: dict[tuple[type[Record], str], tuple[FileStamp, Record]] = {}


def read_kept(kind: type[R], path: Path) -> R:
    """Returns the record in a file, which is read only if the file is another one than when this process read it last.

    Whether it is the same is told by the file itself, which is opened: its number, size and times of change. So a record that another process or machine has
    replaced meanwhile is read anew, on file systems too that show names and times late. Nobody may change what is returned. Raises what `Record.read` raises.
    """
    name = (kind, str(path.absolute()))
    before = _stamp(path)
    found = _kept.get(name)
    if before is not None and found is not None and found[0] == before:
        return cast("R", found[1])
    record = kind.read(path)
    if before is not None and before.is_settled() and _stamp(path) == before:
        _kept[name] = before, record
    return record


def _stamp(path: Path) -> FileStamp | None:
    """Returns the stamp of a file as it opens now; None if it does not open, which reading it then says in words."""
    try:
        with open_regular(path) as stream:
            return FileStamp.of(os.fstat(stream.fileno()))
    except OSError:
        return None
