"""The largest memory that this process has taken."""

from __future__ import annotations

import resource
import sys
from typing import Any

import torch


def peak_memory_bytes() -> int:
    """Returns the largest resident memory of the process or, with a GPU, the largest that was allocated there."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024  # Linux counts in KiB
