"""How much memory is free."""

from __future__ import annotations


def available_memory_bytes() -> int | None:
    """What programs can still take, as Linux tells; None on other systems, which will tell when it is over."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:  # noqa: PTH123
            fields = dict(line.split(":") for line in stream)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
