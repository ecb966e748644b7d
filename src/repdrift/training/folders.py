"""Run folders: `results/{method}_{timestamp}/`, found again by what their run.json says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import DataError
from repdrift.core.progress import say
from repdrift.core.records.run import RUN_FILE, RunRecord


def new_run_folder(results_dir: Path, method: str, started: datetime) -> Path:
    """Make a folder that no other run has, even one that starts in the same second."""
    name = f"{method}_{started:%Y%m%d_%H%M%S}"
    with storage_errors(results_dir):
        results_dir.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = results_dir / (name if number == 1 else f"{name}_{number}")
            try:
                folder.mkdir()  # fails if it is there: making it is what claims it
            except FileExistsError:
                number += 1
                continue
            return folder


def finished_runs(results_dir: Path) -> Iterator[tuple[Path, RunRecord]]:
    """Every finished run in `results_dir`, by folder name. A run.json that cannot be read is named and passed over."""
    for path in sorted(results_dir.glob(f"*/{RUN_FILE}")):
        try:
            yield path.parent, RunRecord.read(path)
        except DataError as error:
            say(f"passed over: {error}")


def find_run_by_key(results_dir: Path, key: str) -> tuple[Path, RunRecord] | None:
    """The latest finished run of that key, if any."""
    found = [(folder, record) for folder, record in finished_runs(results_dir) if record.key == key]
    return max(found, key=lambda pair: pair[1].started, default=None)
