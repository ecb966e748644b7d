"""Free memory: how much there is, and how freed memory goes back to the operating system."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from pathlib import Path
from typing import Any


def give_back() -> None:
    """Free unused memory, and return it to the operating system if the C library keeps it (glibc does).

    glibc returns a freed block by itself only if the block is larger than a limit, and it raises that limit to the size
    of the largest block freed. A program that frees blocks of many megabytes, layer by layer, therefore keeps gigabytes
    that it no longer uses.
    """
    gc.collect()  # arrays in a cycle of references are freed only here
    give_back_freed()


def give_back_freed() -> None:
    """Return freed memory to the operating system, as `give_back` does, but look for no unused objects: fit for every few steps of a loop."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def available_memory_bytes() -> int | None:
    """Memory that this process can still take, in bytes. None on systems other than Linux, where it is not known.

    A container's own limit counts, where it is lower than what the machine has free.
    """
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:  # noqa: PTH123
            fields = dict(line.split(":") for line in stream)
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    of_container = _left_to_container(Path("/sys/fs/cgroup"))
    return free if of_container is None else min(free, of_container)


def _left_to_container(folder: Path) -> int | None:
    """Bytes below the memory limit of the control group (version 2) in `folder`; None if it sets none."""
    try:
        limit = int((folder / "memory.max").read_text())  # "max" for none, which is no number
        used = int((folder / "memory.current").read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(statistics["inactive_file"]))  # cached files give way
    except (OSError, KeyError, ValueError):
        return None


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
