"""Which floating-point type is quick on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

_NATIVE_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Of x86 and Arm processors that multiply bfloat16 by themselves; others emulate it, about twenty times as slow as float32."""


def quick_precision() -> Literal["float32", "bfloat16"]:
    """bfloat16 where the device multiplies it natively, else float32 (also where that cannot be known)."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return "float32"
    return "bfloat16" if words & _NATIVE_FLAGS else "float32"
