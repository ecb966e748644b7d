"""Tells where the results of two studies differ: every file byte for byte, but for times, machines and names of run folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from repdrift.core.records.run import RUN_FILE

NOT_COMPARED = {
    "journal.jsonl": "says what was done when",
    "dashboard.html": "shows the times and folders of the results; the figures and the results themselves are compared",
    "history.jsonl": "has seconds beside the losses, which the results have too",
    "run_history": "as history.jsonl",
}
"""Files that are left out, with the reason."""
TIMES_AND_PLACES = frozenset(
    {
        "created",
        "started",
        "ended",
        "wall_time_s",
        "seconds",
        "time",
        "peak_memory_bytes",
        "folder",
        "content_sha256",
        "resumed_at",
    }
)
"""Entries of records that differ from run to run of the same study: when, how long, in how much memory, and a checksum over these."""
_RUN_FOLDER = re.compile(r"_\d{8}_\d{6}(?:_\d+)?")


def differences(ours: Path, theirs: Path) -> list[str]:
    """Returns the files of two results folders that differ, each with what differs; none if they are the same study."""
    left, right = _files(ours), _files(theirs)
    found = [f"{name}: only in one of the two" for name in sorted(left.keys() ^ right.keys())]
    for name in sorted(left.keys() & right.keys()):
        if name.endswith(".json"):
            found += [
                f"{name}: {entry}"
                for entry in _entries(json.loads(left[name].read_bytes()), json.loads(right[name].read_bytes()))
            ]
        elif left[name].read_bytes() != right[name].read_bytes():
            found.append(f"{name}: other bytes")
    return found


def _files(results: Path) -> dict[str, Path]:
    """The files of a study by names that do not depend on when it was run: a run's folder is called by its task, method and seed."""
    runs = {path.parent: json.loads(path.read_text()) for path in results.glob(f"*/{RUN_FILE}")}
    found: dict[str, Path] = {}
    for path in sorted(results.rglob("*")):
        if not path.is_file() or path.name in NOT_COMPARED or path.relative_to(results).parts[0] == "jobs":
            continue
        name = path.relative_to(results).as_posix()
        for folder, run in runs.items():
            if path.is_relative_to(folder):
                name = f"run {run['task']} {run['method']} {run['seed']}/{path.relative_to(folder).as_posix()}"
        found[name] = path
    return found


def _entries(left: Any, right: Any, path: str = "") -> list[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = [key for key in {**left, **right} if key not in TIMES_AND_PLACES]
        return [e for key in keys for e in _entries(left.get(key), right.get(key), f"{path}.{key}")]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [
            e for number, pair in enumerate(zip(left, right, strict=True)) for e in _entries(*pair, f"{path}.{number}")
        ]
    same = _neutral(left) == _neutral(right)
    return [] if same else [f"{path}: {str(left)[:60]} and {str(right)[:60]}"]


def _neutral(value: Any) -> Any:
    return _RUN_FOLDER.sub("_TIME", value) if isinstance(value, str) else value
