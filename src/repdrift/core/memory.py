"""Giving freed memory back to the operating system."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from typing import Any


def give_back() -> None:
    """Free what is no longer used, and return it to the operating system where the C library keeps it (glibc).

    glibc raises the size from which a block is mapped, and given back by itself, to that of the largest one freed: a
    program that frees blocks of many megabytes layer by layer then holds on to gigabytes that it no longer uses.
    """
    gc.collect()  # arrays in a cycle of references are freed only here
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
