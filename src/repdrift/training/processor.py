"""The processor that trains: the last bits of a sum follow from it, and training lets them grow."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

_CPU = Path("/proc/cpuinfo")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Kernels choose the size of their blocks, and with it the order of their sums, by the size of the caches."""


def processor_words(device: torch.device, cpu: Path = _CPU, caches: Path = _CACHES) -> str:
    """Names the processor of `device` as the operating system does, with what kernels go by: vector instructions and the second cache."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    found = _cpu(cpu) or platform.processor() or platform.machine()
    details = [_numbers(cpu), torch.backends.cpu.get_cpu_capability(), _second_cache(caches)]
    return f"{found} ({', '.join(each for each in details if each)})"


def _fields(cpu: Path) -> dict[str, str]:
    try:
        lines = cpu.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def _cpu(cpu: Path) -> str:
    return _fields(cpu).get("model name", "")


def _numbers(cpu: Path) -> str:
    fields = _fields(cpu)
    return ", ".join(f"{name} {fields[name]}" for name in ("cpu family", "model", "stepping") if name in fields)


def _second_cache(caches: Path) -> str:
    try:
        for folder in sorted(caches.glob("index*")):
            if (folder / "level").read_text().strip() == "2":
                return f"second cache {(folder / 'size').read_text().strip()}"
    except OSError:
        return ""
    return ""
