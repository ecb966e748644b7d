"""Names of command-line options for settings that are written as fields: the command line makes options by them, and a result the command that makes it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

MIB = 1 << 20

_NAMES = {
    "layers": "--layer",
    "sites": "--site",
    "measures": "--measure",
    "interval_measures": "--interval-for",
    "sections": "--with",
    "memory_cap_bytes": "--memory-cap",
}
"""Fields whose option has another name: one that is given once for each value, or that has another unit."""

_IN_ONE = frozenset({"sections"})
"""Lists that are written as one value with commas, and as `none` where they are empty."""


def option_name(field: str) -> str:
    """Returns the option of a field, such as `--compute-dtype`."""
    return _NAMES.get(field, "--" + field.replace("_", "-"))


def counts_bytes(field: str) -> bool:
    """Tells whether a field counts bytes; its option is given in MiB."""
    return field.endswith("_bytes")


def option_words(settings: Mapping[str, object]) -> list[str]:
    """Returns the words of a command that give these fields these values. A value of None is not given."""
    found: list[str] = []
    for field, value in settings.items():
        name = option_name(field)
        if isinstance(value, bool):
            found.append(name if value else name.replace("--", "--no-", 1))
        elif isinstance(value, (list, tuple)):
            several = [str(each) for each in cast("Sequence[object]", value)]
            if field in _IN_ONE:
                found += [name, ",".join(several) or "none"]
            else:
                found += [word for each in several for word in (name, each)]
        elif isinstance(value, int) and counts_bytes(field):
            found += [name, str(value // MIB)]
        elif value is not None:
            found += [name, str(value)]
    return found
