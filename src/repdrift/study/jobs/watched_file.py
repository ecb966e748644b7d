"""Notices that a study file was changed while its study runs. Jobs go on from the frozen plan."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.fingerprint import unchanged_file_sha256
from repdrift.core.progress import say
from repdrift.study.jobs.job_state import now


class WatchedStudyFile:
    """The study file of a study that runs. A packaged study has none."""

    def __init__(self, config_path: str | None) -> None:
        self._path = None if config_path is None else Path(config_path).expanduser().absolute()
        self._before = self._digest()
        self._since = now()
        self._said = False

    def look(self) -> None:
        """Say so, once, if the file is another one than when the study began."""
        if self._said or self._before is None or self._digest() == self._before:
            return
        self._said = True
        say(
            f"note: {self._path} was changed or moved since this study began ({self._since}). The study goes on as it was then, and its results are of that "
            "configuration; for the changes, run the command again afterwards"
        )

    def _digest(self) -> str | None:
        try:
            return unchanged_file_sha256(self._path) if self._path is not None and self._path.is_file() else None
        except OSError:
            return None
