"""Files that a comparison's page gives from its own contents."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from repdrift.report.page.contents import Download

_LARGEST_BYTES = 12 << 20
"""Before they are compressed. A larger file stays beside the page, which says so."""
_LARGEST_PACKED_BYTES = 2 << 20
"""For files that are compressed already."""
_TITLES = {
    "comparison.json": "Everything, as JSON",
    "comparison.md": "Summary",
    "drift.csv": "Drift, one row each",
    "outputs.csv": "Outputs",
    "patching.csv": "Patching",
}


def downloads(files: Mapping[str, bytes]) -> tuple[list[Download], list[str]]:
    """Returns the files that the page holds, and a sentence on each that is too large for it."""
    given: list[Download] = []
    left_out: list[str] = []
    for name, content in files.items():
        largest = _LARGEST_PACKED_BYTES if name.endswith(".parquet") else _LARGEST_BYTES
        if len(content) > largest:
            left_out.append(f"{name}: it has {len(content) / (1 << 20):.0f} MiB, and lies beside the page.")
        else:
            given.append(Download(name, _TITLES.get(name, _stem(name)), partial(bytes, content)))
    return given, left_out


def _stem(name: str) -> str:
    return name.partition(".")[0].replace("_", " ").capitalize()
